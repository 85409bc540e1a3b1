"""Moments as documents write them: RFC 3339 in UTC, read from this machine's clock or from text."""

from collections.abc import Callable
from datetime import datetime, timezone

Clock = Callable[[], datetime]


def now_utc() -> datetime:
    """The clock of this machine."""
    return datetime.now(timezone.utc)


def rfc3339(moment: datetime) -> str:
    """A moment as documents write it, to the millisecond."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(text: str) -> datetime:
    """The moment that a document names. Raises ValueError for what is none, or says no offset from UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say its offset from UTC, as 2026-01-31T12:00:00Z does")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError(f"{text!r} is before the first or after the last moment that UTC can write") from error
