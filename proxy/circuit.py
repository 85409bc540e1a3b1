"""The circuit of one replica: after failures in a row it is left alone for a while, then one request at a time finds out.

A state machine without a clock: what time it is comes in. A call that began before the state changed changes nothing when
it ends, so that many that hang together count once.
"""

from typing import Literal

from proxy.resilience import Resilience

CircuitState = Literal["closed", "open", "half-open"]


class Circuit:
    """Who wants to call asks `admits`, then `enter`s and says how it ended, with the number that `enter` gave."""

    def __init__(self) -> None:
        self._epoch = 0
        self._failures = 0
        self._pause_s = 0.0
        self._open_until: float | None = None
        self._probing = False

    def state(self, now: float) -> CircuitState:
        """Closed: calls go through. Open: none does. Half-open: one at a time, as a probe."""
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a call may be made now."""
        return self._open_until is None or (now >= self._open_until and not self._probing)

    def enter(self) -> int:
        """Begin a call that was admitted."""
        if self._open_until is not None:
            self._probing = True
            self._epoch += 1
        return self._epoch

    def succeeded(self, epoch: int) -> bool:
        """The call brought what a predictor in order brings. Returns whether that closed the circuit."""
        if epoch != self._epoch:
            return False
        self._failures, closes = 0, self._probing
        if closes:
            self._probing, self._open_until = False, None
            self._epoch += 1
        return closes

    def failed(self, epoch: int, now: float, resilience: Resilience) -> float:
        """The call brought nothing, or something broken. Returns for how long that opened the circuit, 0 if it did not."""
        if epoch != self._epoch:
            return 0.0
        self._failures += 1
        if self._probing:
            return self._open(now, min(2 * self._pause_s, resilience.breaker_longest_s))
        if self._failures >= resilience.breaker_failures:
            return self._open(now, resilience.breaker_open_s)
        return 0.0

    def left(self, epoch: int) -> None:
        """The call was given up by who made it: nobody knows."""
        if epoch == self._epoch:
            self._probing = False

    def _open(self, now: float, pause_s: float) -> float:
        self._pause_s, self._open_until = pause_s, now + pause_s
        self._probing, self._failures = False, 0
        self._epoch += 1
        return pause_s
