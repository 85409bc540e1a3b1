"""What this worker has seen of each arm lately: how many requests, how many failed, and quantiles of their time.

Kept in memory, second by second, for the guardrails of a ramp and the operator's page. A quantile is right to within a
sixteenth of it: times are counted in steps, eight between a power of two and the next.
"""

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Protocol

import msgspec

LONGEST_SPAN_S = 600
SPAN_S = 60.0

_FINE_BITS = 3
_FINE = 1 << _FINE_BITS


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """An arm over a span: how many requests it was asked, how many failed, what half and all but one in a hundred took.

    `circuit_open` says that none of its replicas is asked now, but for probes. Times are None where nothing was seen.
    """

    requests: int
    failures: int
    p99_s: float | None
    p50_s: float | None = None
    rate_per_s: float = 0.0
    circuit_open: bool = False


class Observes(Protocol):
    """Whoever knows how an arm is doing."""

    def observed(self, use_case: str, arm: str, window_s: float) -> Observed:
        """What was seen of an arm over the last seconds."""


class _Second(msgspec.Struct):
    """One second: how many failed, and how many took how long, by the number of the step."""

    at: int
    failures: int = 0
    times: dict[int, int] = msgspec.field(default_factory=dict)


class Outcomes:
    """The outcomes of requests by arm; under None, those of all arms as the clients met them.

    `circuit_open` is asked of who keeps circuits.
    """

    def __init__(
        self, clock_s: Callable[[], float] = monotonic, circuit_open: Callable[[str, str], bool] = lambda _use_case, _arm: False
    ) -> None:
        self._clock_s = clock_s
        self._circuit_open = circuit_open
        self._arms: dict[tuple[str, str | None], deque[_Second]] = {}

    def note(self, use_case: str, arm: str | None, latency_us: int, *, failed: bool) -> None:
        """Count one outcome."""
        at = int(self._clock_s())
        seconds = self._arms.get((use_case, arm))
        if seconds is None:
            seconds = self._arms[use_case, arm] = deque(maxlen=LONGEST_SPAN_S)
        if not seconds or seconds[-1].at != at:
            seconds.append(_Second(at))
        second, step = seconds[-1], _step(latency_us)
        second.times[step] = second.times.get(step, 0) + 1
        second.failures += failed

    def observed(self, use_case: str, arm: str | None, window_s: float = SPAN_S) -> Observed:
        """What was seen over the last seconds, at most so many as are kept."""
        since = self._clock_s() - window_s
        seconds = [one for one in tuple(self._arms.get((use_case, arm), ())) if one.at >= since]
        times = _sum(dict(one.times) for one in seconds)
        requests = sum(times.values())
        return Observed(
            requests=requests,
            failures=sum(one.failures for one in seconds),
            p50_s=_quantile_s(times, requests, 0.5),
            p99_s=_quantile_s(times, requests, 0.99),
            rate_per_s=requests / min(window_s, LONGEST_SPAN_S),
            circuit_open=arm is not None and self._circuit_open(use_case, arm),
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


def _quantile_s(times: dict[int, int], requests: int, part: float) -> float | None:
    left = part * requests
    for step, count in sorted(times.items()):
        left -= count
        if left <= 0:
            return _middle_us(step) / 1_000_000
    return None
