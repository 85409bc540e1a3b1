"""Strangers, who have no key: of the requests that are refused for that, so many a second leave a row, or they fill the log."""

import time

from lake.budget import Budget

STRANGERS_PER_S = 10.0


class Strangers:
    """How many have left a row lately."""

    def __init__(self) -> None:
        self._budget = Budget(time.monotonic(), STRANGERS_PER_S)

    def may_leave_a_row(self) -> bool:
        """Whether one may, now."""
        self._budget.earn(0, time.monotonic(), STRANGERS_PER_S)
        return self._budget.take()
