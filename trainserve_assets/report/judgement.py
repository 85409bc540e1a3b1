"""What the figures of an evaluation say in words: better, worse or not proven; and may it be released.

Nothing here decides: the gates do. This is how their verdicts, and the intervals, read to a person.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from checks.release_standard import Gate, decide
from checks.verdict import Verdict
from lake.evaluation import Difference, Estimate, Evaluation
from trainserve_assets.report.figures import HEADLINES, metric_words

Standing = Literal["better", "worse", "not proven"]

# Whether more of a metric is better; of those that are not here neither more nor less is.
BETTER: Mapping[str, Literal["more", "less"]] = {
    "auc": "more",
    "accuracy": "more",
    "skill": "more",
    "log_loss": "less",
    "brier": "less",
    "calibration_error": "less",
    "rmse": "less",
    "mae": "less",
}
_PERIODS = ("week", "month", "quarter")
_NOT_FIELDS = (*_PERIODS, "feature", "topic")


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A gate and what it says of the evaluation."""

    gate: Gate
    verdict: Verdict


def decided(gates: Sequence[Gate], evaluation: Evaluation) -> list[Decided]:
    """Each gate, decided on the document."""
    return [Decided(gate=gate, verdict=decide(gate, evaluation)) for gate in gates]


def standing(metric: str, low: float | None, high: float | None) -> Standing:
    """Which side of zero the whole interval of a difference lies on; "not proven" when it spans zero, or there is none."""
    if low is None or high is None or low <= 0 <= high or metric not in BETTER:
        return "not proven"
    return "better" if (low > 0) == (BETTER[metric] == "more") else "worse"


def compared(evaluation: Evaluation) -> list[Difference]:
    """The differences on the whole holdout that have a better and a worse: by metric, in the order of the headlines."""
    metrics = [metric for metric in HEADLINES[evaluation.task] if metric in BETTER]
    return [
        one
        for metric in metrics
        for one in evaluation.differences
        if (one.metric, one.slice) == (metric, "all") and not is_itself(evaluation, one)
    ]


def is_itself(evaluation: Evaluation, difference: Difference) -> bool:
    """Whether the other model is this very candidate: the baseline's own difference from the baseline says nothing."""
    own = {"baseline": evaluation.candidate, "champion": evaluation.package_digest}
    return own.get(difference.other) == difference.other_name


def field_slices(evaluation: Evaluation) -> list[Estimate]:
    """The first headline on each slice of a field."""
    metric = HEADLINES[evaluation.task][0]
    return [one for one in evaluation.estimates if one.metric == metric and "=" in one.slice and not _is_named(one, _NOT_FIELDS)]


def periods(evaluation: Evaluation, metric: str) -> list[Estimate]:
    """A metric on each period of the holdout, in their order."""
    return sorted(
        (one for one in evaluation.estimates if one.metric == metric and _is_named(one, _PERIODS)), key=lambda one: one.slice
    )


def worst_slice(evaluation: Evaluation, fewest_rows: int = 100) -> Estimate | None:
    """The slice on which the first headline is worst, among those with enough rows to say so."""
    enough = [one for one in field_slices(evaluation) if one.n >= fewest_rows]
    if not enough:
        return None
    sign = 1 if BETTER[HEADLINES[evaluation.task][0]] == "more" else -1
    return min(enough, key=lambda one: sign * one.value)


def regressed(evaluation: Evaluation) -> list[Difference]:
    """On which slices, and by which headline, the whole interval says that this candidate is worse than the champion."""
    by_slice = [one for one in evaluation.differences if one.other == "champion" and one.slice != "all"]
    headlines = HEADLINES[evaluation.task]
    return [one for one in by_slice if one.metric in headlines and standing(one.metric, one.low, one.high) == "worse"]


def standard_words(outcome: Sequence[Decided]) -> str:
    """Whether the release standard is met, and if not, by which gates."""
    failed = [one for one in outcome if not one.verdict.passed]
    blocking = [one.gate.name for one in failed if one.gate.blocking]
    advisory = [one.gate.name for one in failed if not one.gate.blocking]
    if not outcome:
        return "There is no release standard: no gate says what it must satisfy."
    gates = f"{len(outcome) - len(failed)} of {len(outcome)} gates pass"
    if blocking:
        return f"It may not be released unless each is waived by name: {', '.join(blocking)}. {gates}."
    if advisory:
        return f"It may be released: {gates}; what fails is advisory ({', '.join(advisory)})."
    return f"It may be released: {gates}."


def comparison_words(evaluation: Evaluation) -> str:
    """On the first headline: better than what, worse than what, and where nothing is proven."""
    metric = HEADLINES[evaluation.task][0]
    on_it = [one for one in compared(evaluation) if one.metric == metric]
    if not on_it:
        return "It is compared with nothing: the holdout has too few days for an interval."
    groups: dict[Standing, list[str]] = {"better": [], "worse": [], "not proven": []}
    for one in on_it:
        groups[standing(metric, one.low, one.high)].append(f"the {one.other}")
    said = []
    if groups["better"]:
        said.append(f"better than {_listed(groups['better'])}")
    if groups["worse"]:
        said.append(f"worse than {_listed(groups['worse'])}")
    if groups["not proven"]:
        said.append(f"not proven better or worse than {_listed(groups['not proven'])}")
    champion = " There is no champion yet." if evaluation.champion_digest is None else ""
    selves = dict.fromkeys(one.other for one in evaluation.differences if is_itself(evaluation, one))
    own = f" It is the {_listed([*selves])} itself." if selves else ""
    first = on_it[0]
    return f"By {metric_words(metric)}, over {first.n:,} rows of {first.days} days, it is {', '.join(said)}.{champion}{own}"


def _is_named(estimate: Estimate, names: tuple[str, ...]) -> bool:
    return estimate.slice.startswith(tuple(f"{name}=" for name in names))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
