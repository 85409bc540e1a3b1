"""A budget of tokens that grows with time and with use: what is taken without one is refused."""

_SAVED_S = 10.0
_LEAST_SAVED = 10.0


class Budget:
    """Tokens for what should stay rare. It starts with those of one second, and saves those of ten, or ten of them.

    So over any time there are at most those, `per_s` for each second of it, and what was earned.
    """

    def __init__(self, now: float, per_s: float) -> None:
        self._tokens = per_s
        self._at = now

    def earn(self, tokens: float, now: float, per_s: float) -> None:
        """Add what the time since the last look, and this use, bring."""
        grown = self._tokens + tokens + (now - self._at) * per_s
        self._tokens, self._at = min(grown, max(_SAVED_S * per_s, _LEAST_SAVED)), now

    def take(self) -> bool:
        """Take one token; False when there is none."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
