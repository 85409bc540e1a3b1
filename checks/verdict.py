"""The verdict of a check: a yes or no, with what was seen, what was allowed, and over how many rows."""

from collections.abc import Mapping
from typing import Literal

import msgspec

# What a failed check asks of people. Recalibrating shifts answers by a parameter; a model that was fine before is rolled back to.
Remedy = Literal["recalibrate", "retrain", "roll back", "fix the source", "nothing"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a pure decision returns; a decorator reports it.

    `reason` is one plain sentence. `observed` and `limit` are None where there was nothing to observe, and then
    `passed` is False: missing evidence is not good evidence. What fails and is `provisional` has not stood for long enough to be
    more than a warning. `remedy` is what a failure asks for, which each names that saw something; for want of evidence it is
    nothing, unless it says otherwise. `parts` are verdicts on what it is made of, by name: they are shown with it, and told by it
    alone.
    """

    passed: bool
    reason: str
    observed: float | None = None
    limit: float | None = None
    rows: int = 0
    provisional: bool = False
    remedy: Remedy | None = None
    parts: Mapping[str, "Verdict"] = {}

    @property
    def asks(self) -> Remedy | None:
        """What it asks of people; None where it passed."""
        if self.passed:
            return None
        return "nothing" if self.remedy is None and self.observed is None else self.remedy
