"""The candidates of one run side by side: what Dagster's page opens, and what a terminal prints.

Dagster's own tables stand in a narrow column that cuts them, so its page is Markdown.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from checks.release_standard import Gate
from lake.evaluation import Evaluation
from trainserve_assets.report.figures import HEADLINES, Row, candidate_rows, comparison_rows, gate_rows, slice_rows
from trainserve_assets.use_case import UseCase

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


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
    """The evaluation as an approver reads it in a terminal, of 80 columns too: a rich renderable that cuts no word off."""
    from rich.console import Group

    gates = use_case.release_standard
    judged = [
        {"passes": row["passes"], "gate, candidate, and why": f"{row['gate']}: {row['candidate']}\n{row['why']}"}
        for row in gate_rows(gates, evaluations)
    ]
    return Group(
        _table(f"{use_case.title}: candidates {_holdout_words(evaluations[0])}", _turned(candidate_rows(gates, evaluations))),
        _table("Compared on the same rows, with 95 % intervals over whole days", comparison_rows(evaluations)),
        _table("The release standard", judged),
    )


def _table(title: str, rows: Sequence[Row]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", show_lines=True)
    for index, name in enumerate(rows[0] if rows else ()):
        drawn.add_column(escape(name), overflow="fold", no_wrap=index == 0)
    for row in rows:
        drawn.add_row(*(escape(value) for value in row.values()))
    return drawn


def _turned(rows: Sequence[Row]) -> list[Row]:
    """The same with a column for each row: there are more figures than candidates."""
    first, *others = rows[0]
    return [{first: name, **{row[first]: row[name] for row in rows}} for name in others]


def _holdout_words(evaluation: Evaluation) -> str:
    holdout = f"{evaluation.split['holdout_from']} until {evaluation.split['holdout_until']}"
    return f"on the holdout {holdout}; {evaluation.looks} packages have been judged on it"


def _markdown(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table; empty without rows."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([row.get(name, "-") for name in rows[0]] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
