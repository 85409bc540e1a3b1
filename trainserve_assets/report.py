"""What an approver reads about candidates, as plain rows: figures, comparisons, gates, slices, and the block to paste.

`evaluation_page` is what Dagster's page opens, `evaluation_summary` what a terminal prints: the same rows, one below
the other. Dagster's own tables stand in a narrow column that cuts them, so the page is Markdown.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from checks.release_standard import Gate, decide
from checks.verdict import Verdict
from lake.evaluation import Difference, Estimate, Evaluation
from lake.input_schema import Task
from lake.tables import RELEASE
from trainserve_assets.use_case import UseCase

if TYPE_CHECKING:
    from rich.console import Group

# What is shown first, by task; the first of them is also shown for each slice and compared.
HEADLINES: Mapping[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "auc", "calibration_error", "predicted_over_observed"),
    "multiclass": ("log_loss", "accuracy", "calibration_error"),
    "regression": ("rmse", "mae", "bias"),
}

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
            "against": one.other if one.other == "base rate" else f"{one.other} {one.other_name[:12]}",
            "metric": one.metric,
            "difference": words_of(one),
            "rows": f"{one.n:,}",
            "days": str(one.days),
        }
        for evaluation in evaluations
        for one in evaluation.differences
        if one.metric == HEADLINES[evaluation.task][0]
    ]


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


def words_of(one: Estimate | Difference | None) -> str:
    """A figure with its 95 % interval."""
    if one is None:
        return "-"
    interval = "" if one.low is None or one.high is None else f" [{one.low:.4f}, {one.high:.4f}]"
    return f"{one.value:.4f}{interval}"


def reason_of(gate: Gate, verdict: Verdict) -> str:
    """The verdict's reason without the gate's name, which stands beside it."""
    return verdict.reason.removeprefix(f"{gate.name}: ")


def release_block(use_case: UseCase, evaluation: Evaluation) -> str:
    """The run config of the release asset for this evaluation, to paste and complete: only a person can say the rest."""
    return f"""\
ops:
  {use_case.name}__{RELEASE}:
    config:
      evaluation_id: {evaluation.evaluation_id}
      decision: approve  # or reject, revoke, roll back
      role: champion  # or challenger, shadow
      arm: champion  # the name of the arm that is to serve it
      approver:  # who you are
      reason:  # why you decide so
"""


def evaluation_lines(gates: Sequence[Gate], evaluations: Sequence[Evaluation]) -> str:
    """A few short lines of Markdown for each candidate: may it be released, and its headlines."""
    lines = []
    for row in candidate_rows(gates, evaluations):
        may = "may be released" if row["may be released"] == "yes" else "may not be released"
        lines.append(f"- **{row['candidate']}** {may} ({row['gates passed']} gates)")
        lines += [f"  - {metric} {row[metric]}" for metric in HEADLINES[evaluations[0].task][:2]]
    return "\n".join(lines)


def evaluation_page(use_case: UseCase, evaluations: Sequence[Evaluation], pictures: Sequence[str]) -> str:
    """Everything that an approver reads, as Markdown; `pictures` are Markdown images."""
    gates = use_case.release_standard
    sections = {
        f"{use_case.title}: candidates {_holdout_words(evaluations[0])}": _markdown(candidate_rows(gates, evaluations)),
        "Compared on the same rows, with 95 % intervals over whole days": _markdown(comparison_rows(evaluations)),
        "Pictures": "\n\n".join(pictures),
        "The release standard": _markdown(gate_rows(gates, evaluations)),
        "By slice": _markdown(slice_rows(evaluations)),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in sections.items() if text)


def evaluation_summary(use_case: UseCase, evaluations: Sequence[Evaluation]) -> "Group":
    """The evaluation as an approver reads it in a terminal: a rich renderable."""
    from rich.console import Group
    from rich.table import Table

    def table(title: str, rows: Sequence[Row]) -> Table:
        drawn = Table(*(rows[0] if rows else ()), title=title, title_justify="left")
        for row in rows:
            drawn.add_row(*row.values())
        return drawn

    gates = use_case.release_standard
    return Group(
        table(f"{use_case.title}: candidates {_holdout_words(evaluations[0])}", candidate_rows(gates, evaluations)),
        table("Compared on the same rows, with 95 % intervals over whole days", comparison_rows(evaluations)),
        table("The release standard", gate_rows(gates, evaluations)),
    )


def _holdout_words(evaluation: Evaluation) -> str:
    holdout = f"{evaluation.split['holdout_from']} until {evaluation.split['holdout_until']}"
    return f"on the holdout {holdout}; {evaluation.looks} packages have been judged on it"


def _markdown(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; empty without rows."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([row.get(name, "-") for name in rows[0]] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
