"""How many requests for predictions may be under way at once: one too many is told to come back, and holds up nobody.

A server that takes every request while it is asked for more than it can answer answers them all too late. So it answers
as many as it can in time, and turns the others away at once.
"""

from collections.abc import Iterable
from http import HTTPStatus
from types import TracebackType

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from lake.interface.problems import Refused

_RETRY_AFTER_S = 1


class Admission:
    """A place for each request whose body has come, while it is answered: `with admission:`. For one process.

    Entering raises Refused where all places are taken. Such a request leaves no row: to write one would cost what is spared.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._turned_away = 0

    def __enter__(self) -> None:
        """Take a place. Raises Refused."""
        if self._taken >= self._places:
            self._turned_away += 1
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._places:,} requests are under way here, as many as may be at once. Send it again in a moment.",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._taken += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the place back."""
        self._taken -= 1

    def collect(self) -> Iterable[Metric]:
        """How many are under way, and how many were turned away."""
        yield GaugeMetricFamily("trainserve_requests_under_way", "Requests for predictions, now", value=self._taken)
        yield CounterMetricFamily(
            "trainserve_requests_turned_away",
            "Requests for predictions beyond those that may be under way",
            value=self._turned_away,
        )
