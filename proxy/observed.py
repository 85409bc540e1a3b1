"""What this worker has seen of each arm lately: enough to tell a ramp that it does harm."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Protocol

import msgspec

# Of an arm so many of the newest requests are kept, whatever the time.
_MOST_KEPT = 20_000


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """An arm over a span: how many requests it was asked, how many failed, the slowest but one in a hundred, its circuit."""

    requests: int
    failures: int
    p99_s: float | None
    circuit_open: bool = False


class Observes(Protocol):
    """Whoever knows how an arm is doing."""

    def observed(self, use_case: str, arm: str, window_s: float) -> Observed:
        """What was seen of an arm over the last seconds."""


class Outcomes:
    """The outcomes of requests by arm, as this worker's clients met them. `circuit_open` is asked of who keeps circuits."""

    def __init__(
        self, clock_s: Callable[[], float] = monotonic, circuit_open: Callable[[str, str], bool] = lambda _use_case, _arm: False
    ) -> None:
        self._clock_s = clock_s
        self._circuit_open = circuit_open
        self._seen: dict[tuple[str, str], deque[tuple[float, bool, int]]] = {}

    def note(self, use_case: str, arm: str, latency_us: int, *, failed: bool) -> None:
        """Keep one outcome."""
        seen = self._seen.get((use_case, arm))
        if seen is None:
            seen = self._seen[use_case, arm] = deque(maxlen=_MOST_KEPT)
        seen.append((self._clock_s(), failed, latency_us))

    def observed(self, use_case: str, arm: str, window_s: float) -> Observed:
        """What was seen of an arm over the last seconds."""
        since = self._clock_s() - window_s
        lately = [one for one in tuple(self._seen.get((use_case, arm), ())) if one[0] >= since]
        latencies = sorted(latency_us for _, _, latency_us in lately)
        return Observed(
            requests=len(lately),
            failures=sum(failed for _, failed, _ in lately),
            p99_s=latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] / 1_000_000 if latencies else None,
            circuit_open=self._circuit_open(use_case, arm),
        )
