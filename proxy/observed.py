"""What was seen of each arm lately: how many requests, how many errors, and quantiles of their time, second by second.

Kept in memory, of this process alone, for the guardrails of a ramp and the page of the operator. A quantile is right to
within a sixteenth of it: times are counted in steps, eight between a power of two and the next.
"""

import math
import time
from collections import deque
from collections.abc import Iterable

import msgspec

LONGEST_SPAN_S = 600
SPAN_S = 60.0

_FINE_BITS = 3
_FINE = 1 << _FINE_BITS


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen over a span that ends now; times in milliseconds, NaN where nothing was."""

    requests: int
    errors: int
    rate_per_s: float
    error_rate: float
    p50_ms: float
    p99_ms: float


class _Second(msgspec.Struct):
    """One second of one arm: how many requests took how long, by the number of the step."""

    at: int
    errors: int = 0
    times: dict[int, int] = msgspec.field(default_factory=dict)


class Observed:
    """Counts what is told, and answers about the last seconds. The arm None is all of a use case, as its clients saw it."""

    def __init__(self) -> None:
        self._arms: dict[tuple[str, str | None], deque[_Second]] = {}

    def count(self, use_case: str, arm: str | None, latency_us: int, *, failed: bool, now: float | None = None) -> None:
        """One request has ended; `now` is a reading of `time.monotonic`."""
        at = int(time.monotonic() if now is None else now)
        seconds = self._arms.get((use_case, arm))
        if seconds is None:
            seconds = self._arms[use_case, arm] = deque(maxlen=LONGEST_SPAN_S)
        if not seconds or seconds[-1].at != at:
            seconds.append(_Second(at))
        second, step = seconds[-1], _step(latency_us)
        second.times[step] = second.times.get(step, 0) + 1
        if failed:
            second.errors += 1

    def seen(self, use_case: str, arm: str | None, span_s: float = SPAN_S, now: float | None = None) -> Seen:
        """What was seen over the last seconds, at most so many as are kept."""
        moment = time.monotonic() if now is None else now
        since = moment - min(span_s, LONGEST_SPAN_S)
        seconds = [one for one in self._arms.get((use_case, arm), ()) if since < one.at + 1 <= moment + 1]
        times = _sum(one.times for one in seconds)
        requests, errors = sum(times.values()), sum(one.errors for one in seconds)
        return Seen(
            requests=requests,
            errors=errors,
            rate_per_s=requests / span_s,
            error_rate=errors / requests if requests else math.nan,
            p50_ms=_quantile(times, requests, 0.5),
            p99_ms=_quantile(times, requests, 0.99),
        )


def _sum(parts: Iterable[dict[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for part in parts:
        for step, count in part.items():
            total[step] = total.get(step, 0) + count
    return total


def _step(latency_us: int) -> int:
    """The number of the step of a time."""
    shift = max(latency_us.bit_length() - 1 - _FINE_BITS, 0)
    return (shift << _FINE_BITS) + (latency_us >> shift)


def _middle_us(step: int) -> float:
    """The middle of a step."""
    if step < 2 * _FINE:
        return float(step)
    shift = (step >> _FINE_BITS) - 1
    return ((step & (_FINE - 1)) + _FINE + 0.5) * (1 << shift)


def _quantile(times: dict[int, int], requests: int, part: float) -> float:
    left = part * requests
    for step, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return _middle_us(step) / 1000
    return math.nan
