"""Strangers, who have no key: of the requests that are refused for that, so many a second leave a row, or they fill the log."""

import time
from http import HTTPStatus

from lake.budget import Budget
from lake.interface.problems import Refused

STRANGERS_PER_S = 10.0


class Strangers:
    """How many have left a row lately."""

    def __init__(self) -> None:
        self._budget = Budget(time.monotonic(), STRANGERS_PER_S)

    def may_leave_a_row(self, refusal: Refused) -> bool:
        """Whether the request that was refused for this may, now; one that has a key, or needs none, always may."""
        if refusal.status != HTTPStatus.UNAUTHORIZED:
            return True
        self._budget.earn(0, time.monotonic(), STRANGERS_PER_S)
        return self._budget.take()
