"""Verdicts as Dagster's results of asset checks."""

import math
from collections.abc import Callable, Mapping

import dagster as dg

from checks.verdict import Verdict
from trainserve_assets.readable import readable

PARTS = "verdict_on_parts"


def check_result(
    verdicts: Mapping[str, Verdict], severity: dg.AssetCheckSeverity, picture: Callable[[], str | None] | None = None
) -> dg.AssetCheckResult:
    """One result for several verdicts, by what each is about: it passes when all do, and shows the worst.

    What was seen and failed is shown with its `picture`, which nothing else is drawn for. Dagit sorts metadata by name: the long
    table of parts stands below the remedy.

    A failure for want of evidence is a warning: nothing is known to be wrong. So is one that has not stood for long.
    """
    worst_of, worst = min(verdicts.items(), key=lambda one: (one[1].passed, one[1].observed is None, one[1].provisional))
    drawn = picture() if picture and not worst.passed and worst.observed is not None else None
    is_sure = worst.passed or (worst.observed is not None and not worst.provisional)
    return dg.AssetCheckResult(
        passed=worst.passed,
        severity=severity if is_sure else dg.AssetCheckSeverity.WARN,
        description=worst.reason if len(verdicts) == 1 else f"{worst_of}: {worst.reason}",
        metadata={
            **_figures(worst),
            **({"remedy": worst.asks} if worst.asks else {}),
            **({"each": _table(verdicts)} if len(verdicts) > 1 else {}),
            **({"picture": dg.MetadataValue.md(drawn)} if drawn else {}),
            **({PARTS: _table(worst.parts)} if worst.parts else {}),
        },
    )


def _figures(verdict: Verdict) -> dict[str, float | int]:
    found = {"observed": verdict.observed, "limit": verdict.limit}
    finite = {name: value for name, value in found.items() if value is not None and math.isfinite(value)}
    return {**{name: readable(value) for name, value in finite.items()}, "rows": verdict.rows}


def _table(verdicts: Mapping[str, Verdict]) -> dg.TableMetadataValue:
    """What failed stands first."""
    unknown: dict[str, float | None] = {"observed": None, "limit": None}
    records = [
        dg.TableRecord(
            {
                "about": about,
                "passed": verdict.passed,
                "reason": verdict.reason,
                "remedy": verdict.asks or "",
                **unknown,
                **_figures(verdict),
            }
        )
        for about, verdict in sorted(verdicts.items(), key=lambda one: one[1].passed)
    ]
    columns = {"about": "string", "passed": "bool", "observed": "float", "limit": "float", "rows": "int"}
    columns |= {"reason": "string", "remedy": "string"}
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]))
