"""A clock that stands still until a test moves it."""

from datetime import datetime, timedelta

from lake.times import now_utc


class Hands:
    """A `Clock`, set to now."""

    def __init__(self) -> None:
        self.now = now_utc()

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        """Move it by so many days, hours, ...; backwards if negative."""
        self.now += timedelta(**span)
