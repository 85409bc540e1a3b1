"""Rate limits: a token bucket for each client of a use case."""

import time
from collections.abc import Callable
from http import HTTPStatus
from math import ceil

from lake.interface.problems import Refused
from lake.parameters.document import RateLimit

# A client whose bucket is full again needs none: so many are kept before those are forgotten.
_MOST_BUCKETS = 10_000


class TooMany(Refused):
    """A client sends more than it may."""

    def __init__(self, limit: RateLimit, wait_s: float) -> None:
        super().__init__(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"At most {limit.per_second:g} requests a second, {limit.burst} at once, are answered.",
            retry_after_s=max(1, ceil(wait_s)),
        )


class RateLimits:
    """The buckets of this worker. Each of `workers` holds its part of every limit, as requests are spread over all."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._buckets: dict[tuple[str, str | None], tuple[float, float]] = {}

    def take(self, use_case: str, client: str | None, limit: RateLimit, workers: int = 1) -> None:
        """Take a token of a client's bucket. Raises TooMany while it is empty.

        Without credentials all clients are one.
        """
        rate, size = limit.per_second / workers, max(1.0, limit.burst / workers)
        now, key = self._clock_s(), (use_case, client)
        tokens, at = self._buckets.get(key, (size, now))
        tokens = min(size, tokens + (now - at) * rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            raise TooMany(limit, (1 - tokens) / rate)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.clear()
        self._buckets[key] = (tokens - 1, now)
