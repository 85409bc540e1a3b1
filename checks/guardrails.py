"""What a challenger may not harm, with bounds that hold at every look: failed requests and slow answers.

Requests of the same minutes fail together, so a span of time is one observation. The bounds are confidence sequences.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from checks.confidence_sequence import sequence_factor

SLOW_SHARE = 0.05
FEWEST_SPANS = 12
_TUNED_FOR_SPANS = 288


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Five minutes of one experiment: of each arm its requests, those that failed, and those slower than is allowed."""

    champion: int
    champion_failed: int
    challenger: int
    challenger_failed: int
    challenger_slow: int


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """One harm: how large it is seen to be, how large it is at least, what is allowed, and over how many observations."""

    name: str
    observed: float
    low: float
    limit: float
    n: int

    @property
    def crossed(self) -> bool:
        """Whether the harm is surely larger than what is allowed."""
        return self.low > self.limit

    def __str__(self) -> str:
        return f"{self.name} {self.observed:+.4f}, at least {self.low:+.4f}, {self.limit:+.4f} allowed"


def traffic_guardrails(spans: Sequence[Span], greatest_error_increase: float, alpha: float) -> list[Guardrail]:
    """The two harms that traffic shows. `alpha` is the chance of either bound ever being wrong, by the spans so far.

    More than a twentieth of the challenger's requests being slow is its p95 being above what is allowed. Empty before an
    hour of spans in which the challenger was asked.
    """
    asked = [span for span in spans if span.challenger]
    if len(asked) < FEWEST_SPANS or not any(span.champion for span in spans):
        return []
    columns = {name: np.array([getattr(span, name) for span in spans], dtype=float) for name in Span.__struct_fields__}
    failed, moved_failed = _share(columns["challenger_failed"], columns["challenger"])
    usual, moved_usual = _share(columns["champion_failed"], columns["champion"])
    slow, moved_slow = _share(columns["challenger_slow"], columns["challenger"])
    factor = float(sequence_factor(len(asked), alpha, _TUNED_FOR_SPANS))
    harms = (
        ("failed requests", failed - usual, moved_failed - moved_usual, greatest_error_increase),
        ("slow answers", slow, moved_slow, SLOW_SHARE),
    )
    return [
        Guardrail(name=name, observed=seen, low=seen - factor * float(np.sqrt(moved @ moved)), limit=limit, n=len(asked))
        for name, seen, moved, limit in harms
    ]


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
    """A share over all spans, and how each span moves it."""
    share = float(part.sum() / whole.sum())
    return share, (part - share * whole) / whole.sum()
