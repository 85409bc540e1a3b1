"""The verdict of a check: a yes or no, with what was seen, what was allowed, and over how many rows."""

import msgspec


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a pure decision returns; a decorator reports it.

    `reason` is one plain sentence. `observed` and `limit` are None where there was nothing to observe, and then
    `passed` is False: missing evidence is not good evidence.
    """

    passed: bool
    reason: str
    observed: float | None = None
    limit: float | None = None
    rows: int = 0
