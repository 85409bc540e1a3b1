"""The release standard: gates as code, decided on the evaluation document alone.

The evaluation asset shows each gate as an asset check; the release asset decides each again from the document, and
reads none of Dagster's events, which anyone who reaches the webserver can forge.
"""

from collections.abc import Sequence
from typing import Literal

from checks.verdict import Remedy, Verdict
from lake.documents import StrictDocument, canonical, sha256
from lake.evaluation import Difference, Estimate, Evaluation


class Gate(StrictDocument, frozen=True, kw_only=True):
    """One requirement on one metric.

    `against` "limit" compares the metric itself; any other compares its difference (candidate minus other) on the same
    rows. With `bound` "interval" the whole 95 % interval must satisfy it, with "point" the estimate. `slice` is one of the
    evaluation's; of findings the metric is `failed_findings`, on the slice `topic=<topic>`.
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
    compared = any(one.other == "champion" for one in evaluation.differences)
    if gate.against == "champion" and evaluation.champion_digest is None and not compared:
        return Verdict(passed=True, reason=f"{gate.name}: there is no champion yet", limit=gate.limit)
    figure = _figure(gate, evaluation)
    worst = "low" if gate.must_be == "at least" else "high"
    observed = None if figure is None else figure.value if gate.bound == "point" else getattr(figure, worst)
    if figure is None or observed is None:
        reason = f"{gate.name}: {_missing(gate, found=figure is not None)}"
        return Verdict(passed=False, reason=reason, limit=gate.limit, remedy="retrain")
    passed = observed >= gate.limit if gate.must_be == "at least" else observed <= gate.limit
    what = gate.metric if gate.against == "limit" else f"{gate.metric} against the {gate.against}"
    at_worst = " at worst" if gate.bound == "interval" else ""
    counted = "findings" if gate.metric == "failed_findings" else "rows"
    reason = (
        f"{gate.name}: {what}{_where(gate)} is {observed:.4g}{at_worst}, "
        f"must be {gate.must_be} {gate.limit:.4g}, over {figure.n:,} {counted}"
    )
    remedy: Remedy | None = None if passed else "retrain"
    return Verdict(passed=passed, reason=reason, observed=observed, limit=gate.limit, rows=figure.n, remedy=remedy)


def _figure(gate: Gate, evaluation: Evaluation) -> Estimate | Difference | None:
    if gate.against == "limit":
        return evaluation.find(gate.metric, gate.slice)
    wanted = (gate.metric, gate.against, gate.slice)
    return next((one for one in evaluation.differences if (one.metric, one.other, one.slice) == wanted), None)


def _where(gate: Gate) -> str:
    return "" if gate.slice == "all" else f" on slice {gate.slice!r}"


def _missing(gate: Gate, *, found: bool) -> str:
    if gate.against != "limit":
        return f"the evaluation does not compare {gate.metric} with the {gate.against}{_where(gate)}, or has too few days to"
    if found:
        return f"{gate.metric} on slice {gate.slice!r} has no interval, for want of days"
    return f"the evaluation has no {gate.metric} on slice {gate.slice!r}"
