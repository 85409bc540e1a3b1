"""Figures, comparisons, gates and slices of evaluations in words: rows of text, the same for page and terminal."""

from collections.abc import Mapping, Sequence

from checks.release_standard import Gate, decide
from checks.verdict import Verdict
from lake.evaluation import Difference, Estimate, Evaluation
from lake.input_schema import Task

# What is shown first, by task; the first of them is also shown for each slice and compared.
HEADLINES: Mapping[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "auc", "calibration_error", "predicted_over_observed"),
    "multiclass": ("log_loss", "accuracy", "calibration_error"),
    "regression": ("rmse", "mae", "bias"),
}

_LARGE = 100
_ABBREVIATIONS = {"auc", "rmse", "mae"}

Row = dict[str, str]


def candidate_rows(gates: Sequence[Gate], evaluations: Sequence[Evaluation]) -> list[Row]:
    """One row for each candidate: its figures on the whole holdout with their 95 % intervals, and what it satisfies."""
    rows = []
    for evaluation in evaluations:
        verdicts = {gate.name: decide(gate, evaluation) for gate in gates}
        figures = {metric: words_of(evaluation.find(metric)) for metric in HEADLINES[evaluation.task]}
        passed = sum(verdict.passed for verdict in verdicts.values())
        rows.append(
            {
                "candidate": evaluation.candidate,
                "version": evaluation.model_version,
                **figures,
                "gates passed": f"{passed} of {len(gates)}",
                "may be released": "yes" if meets_standard(gates, evaluation) else "no",
            }
        )
    return rows


def comparison_rows(evaluations: Sequence[Evaluation]) -> list[Row]:
    """One row for each candidate and what it is compared with, on the first headline: candidate minus other."""
    return [
        {
            "candidate": evaluation.candidate,
            "against": _against(one),
            "metric": one.metric,
            "difference": words_of(one),
            "rows": f"{one.n:,}",
            "days": str(one.days),
        }
        for evaluation in evaluations
        for one in evaluation.differences
        if (one.metric, one.slice) == (HEADLINES[evaluation.task][0], "all")
    ]


def _against(one: Difference) -> str:
    """What it is compared with: a champion by its digest, a baseline by its candidate."""
    if one.other == "base rate":
        return one.other
    return f"{one.other} {one.other_name[:12] if one.other == 'champion' else one.other_name}"


def gate_rows(gates: Sequence[Gate], evaluations: Sequence[Evaluation]) -> list[Row]:
    """One row for each gate and candidate, with the reason of its verdict."""
    return [
        {
            "gate": gate.name + ("" if gate.blocking else " (advisory)"),
            "candidate": evaluation.candidate,
            "passes": "yes" if (verdict := decide(gate, evaluation)).passed else "no",
            "why": reason_of(gate, verdict),
        }
        for gate in gates
        for evaluation in evaluations
    ]


def slice_rows(evaluations: Sequence[Evaluation]) -> list[Row]:
    """One row for each slice: its size, and the first headline of each candidate."""
    rows: dict[str, Row] = {}
    for evaluation in evaluations:
        for one in evaluation.estimates:
            if one.slice != "all" and one.metric == HEADLINES[evaluation.task][0]:
                row = rows.setdefault(one.slice, {"slice": one.slice, "metric": one.metric, "rows": f"{one.n:,}"})
                row[evaluation.candidate] = words_of(one)
    return list(rows.values())


def meets_standard(gates: Sequence[Gate], evaluation: Evaluation) -> bool:
    """Whether every blocking gate passes."""
    return all(decide(gate, evaluation).passed for gate in gates if gate.blocking)


def metric_words(metric: str) -> str:
    """A metric's name as it stands in a sentence."""
    return metric.upper() if metric in _ABBREVIATIONS else metric.replace("_", " ")


def figure_words(value: float) -> str:
    """A figure with as many digits as its size deserves."""
    return f"{value:.4f}" if abs(value) < _LARGE else f"{value:,.1f}"


def words_of(one: Estimate | Difference | None) -> str:
    """A figure with its 95 % interval."""
    if one is None:
        return "-"
    interval = "" if one.low is None or one.high is None else f" [{figure_words(one.low)}, {figure_words(one.high)}]"
    return f"{figure_words(one.value)}{interval}"


def reason_of(gate: Gate, verdict: Verdict) -> str:
    """The verdict's reason without the gate's name, which stands beside it."""
    return verdict.reason.removeprefix(f"{gate.name}: ")
