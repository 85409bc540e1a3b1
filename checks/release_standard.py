"""The release standard: gates as code, decided on the evaluation document alone.

The evaluation asset shows each gate as an asset check; the release asset decides each again from the document, and
reads none of Dagster's events, which anyone who reaches the webserver can forge.
"""

from collections.abc import Sequence
from typing import Literal

from checks.verdict import Verdict
from lake.documents import StrictDocument, canonical, sha256
from lake.evaluation import Evaluation


class Gate(StrictDocument, frozen=True, kw_only=True):
    """One requirement on one metric.

    `against` "limit" compares the metric itself; any other compares its difference (candidate minus other) on the same
    rows. With `bound` "interval" the whole 95 % interval must satisfy it, with "point" the estimate.
    """

    name: str
    metric: str
    must_be: Literal["at least", "at most"]
    limit: float
    against: Literal["limit", "base rate", "baseline", "champion"] = "limit"
    bound: Literal["point", "interval"] = "point"
    slice: str = "all"
    blocking: bool = True


def standard_digest(gates: Sequence[Gate]) -> str:
    """The digest that a decision names: another standard is another digest."""
    return sha256(canonical(tuple(gates)))


def decide(gate: Gate, evaluation: Evaluation) -> Verdict:
    """Whether the evaluation satisfies the gate. A figure that the document lacks is a failed gate.

    Only a comparison against a champion is passed without evidence, while there is none to compare with.
    """
    found = _observed(gate, evaluation)
    if found is None:
        first_champion = gate.against == "champion" and not any(one.other == "champion" for one in evaluation.differences)
        what = "there is no champion yet" if first_champion else f"the evaluation has no {gate.metric} on slice {gate.slice!r}"
        return Verdict(passed=first_champion, reason=f"{gate.name}: {what}", limit=gate.limit)
    observed, n = found
    passed = observed >= gate.limit if gate.must_be == "at least" else observed <= gate.limit
    compared = gate.metric if gate.against == "limit" else f"{gate.metric} against the {gate.against}"
    reason = f"{gate.name}: {compared} is {observed:.4g}, must be {gate.must_be} {gate.limit:.4g}, over {n:,} rows"
    return Verdict(passed=passed, reason=reason, observed=observed, limit=gate.limit, rows=n)


def _observed(gate: Gate, evaluation: Evaluation) -> tuple[float, int] | None:
    worst = "low" if gate.must_be == "at least" else "high"
    if gate.against == "limit":
        estimate = evaluation.find(gate.metric, gate.slice)
        if estimate is None:
            return None
        value = estimate.value if gate.bound == "point" else getattr(estimate, worst)
        return None if value is None else (value, estimate.n)
    difference = next((one for one in evaluation.differences if one.metric == gate.metric and one.other == gate.against), None)
    if difference is None:
        return None
    return (difference.value if gate.bound == "point" else getattr(difference, worst), difference.n)
