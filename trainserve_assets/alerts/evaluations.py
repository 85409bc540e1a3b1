"""What asset checks said since it was last read, from Dagster's event log: Dagster's failure sensors never see checks."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import msgspec

from checks.alerts import Evaluated, Severity, Statement
from lake.times import rfc3339
from trainserve_assets.runs import automation

# Not a check of Dagster's, but whether they were made: what it finds is told as theirs is.
MADE = "checks_are_made"
_PAGE = 25
_SEVERITIES: Mapping[dg.AssetCheckSeverity, Severity] = {
    dg.AssetCheckSeverity.WARN: "warning",
    dg.AssetCheckSeverity.ERROR: "error",
}


def new_evaluations(
    instance: dg.DagsterInstance, checks: Mapping[dg.AssetCheckKey, str], read_until: Mapping[str, float]
) -> tuple[list[Evaluated], dict[str, float]]:
    """The evaluations of these checks since the times up to which each was read, oldest first, and the new times.

    `checks` gives the claim of each in words. Of a check that was never read only the newest counts.
    """
    found: list[tuple[float, Evaluated]] = []
    until: dict[str, float] = {}
    for key, claim in checks.items():
        name = name_of(key)
        new = sorted(_since(instance, key, read_until.get(name)), key=lambda one: one[0])
        found += [(at_s, _evaluated(key, claim, at_s, evaluation)) for at_s, evaluation in new]
        if new:
            until[name] = new[-1][0]
    return [evaluated for _, evaluated in sorted(found, key=lambda one: one[0])], until


def checks_not_made(instance: dg.DagsterInstance, checks: Mapping[dg.AssetCheckKey, str]) -> list[Evaluated]:
    """Of each asset whether the newest run that was to make its checks did; nothing while one is under way.

    A check that could not be made says nothing, which looks like health. A run that a person launched, that person watches.
    """
    found = []
    for (use_case, asset), keys in _by_asset(checks).items():
        newest = [one for key in keys for one in instance.event_log_storage.get_asset_check_execution_history(key, limit=1)]
        plans = [one for one in newest if not isinstance(one.evaluation, dg.AssetCheckEvaluation)]
        runs = {one.run_id: instance.get_run_by_id(one.run_id) for one in plans}
        if not newest or any(run is not None and not run.is_finished for run in runs.values()):
            continue
        failed = [id_ for id_, run in runs.items() if run is not None and run.is_failure_or_canceled and automation(run.tags)]
        unmade = [one for one in plans if one.run_id in failed]
        statement = Statement(
            use_case=use_case,
            asset=asset,
            check=MADE,
            at_utc=_at(max(one.create_timestamp for one in unmade or newest)),
            passed=not unmade,
            severity="error",
            seen=f"{len(unmade)} of {len(newest)} checks were not made"
            + (f", as their run {', '.join(one[:8] for one in failed)} failed: look at it in Dagit" if unmade else ""),
            expected="The newest run that Dagster launched by itself made every check of this asset.",
            observed=float(len(unmade)),
            limit=0.0,
            rows=len(newest),
            remedy="fix the source" if unmade else None,
        )
        found.append(Evaluated(asset=asset, check=MADE, at_utc=statement.at_utc, statements=[statement]))
    return found


def name_of(key: dg.AssetCheckKey) -> str:
    """The check's name in the book of its use case."""
    return f"{_asset_of(key)}/{key.name}"


def _since(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, after_s: float | None
) -> Iterator[tuple[float, dg.AssetCheckEvaluation]]:
    """Newest first. An evaluation stands where its run planned it, so those that ran side by side are not in order of time."""
    cursor = None
    while True:
        page = instance.event_log_storage.get_asset_check_execution_history(key, limit=_PAGE, cursor=cursor)
        said = [(one.event.timestamp, one.evaluation) for one in page if one.event is not None]
        evaluations = [(at_s, one) for at_s, one in said if isinstance(one, dg.AssetCheckEvaluation)]  # the others are plans
        if after_s is None:
            yield from sorted(evaluations, key=lambda one: one[0])[-1:]
            done = bool(evaluations)
        else:
            new = [one for one in evaluations if one[0] > after_s]
            yield from new
            done = bool(evaluations) and not new
        if done or len(page) < _PAGE:
            return
        cursor = page[-1].id


def _evaluated(key: dg.AssetCheckKey, claim: str, at_s: float, evaluation: dg.AssetCheckEvaluation) -> Evaluated:
    metadata = {name: value.value for name, value in evaluation.metadata.items()}
    each = evaluation.metadata.get("each")
    rows: Sequence[Mapping[str, Any]] = [{"passed": evaluation.passed, "reason": evaluation.description, **metadata}]
    if isinstance(each, dg.TableMetadataValue):
        rows = [{"remedy": metadata.get("remedy"), **one.data} for one in each.records]
    at_utc = _at(at_s)
    statements = [_statement(key, claim, at_utc, said) for said in rows]
    worst = _SEVERITIES[evaluation.severity]
    evidence = any(not one.passed and one.observed is not None for one in statements)
    # The severity is that of the worst: beside a failure that was seen, one for want of evidence is a warning.
    judged = [
        msgspec.structs.replace(one, severity="warning" if evidence and one.observed is None else worst) for one in statements
    ]
    return Evaluated(asset=_asset_of(key), check=key.name, at_utc=at_utc, statements=judged)


def _statement(key: dg.AssetCheckKey, claim: str, at_utc: str, said: Mapping[str, Any]) -> Statement:
    passed, rows = bool(said["passed"]), _number(said.get("rows"))
    return Statement(
        use_case=key.asset_key.path[0],
        asset=_asset_of(key),
        check=key.name,
        about=_text(said.get("about")),
        at_utc=at_utc,
        passed=passed,
        seen=_text(said.get("reason")),
        expected=claim,
        observed=_number(said.get("observed")),
        limit=_number(said.get("limit")),
        rows=None if rows is None else int(rows),
        remedy=None if passed else _text(said.get("remedy")) or None,
    )


def _asset_of(key: dg.AssetCheckKey) -> str:
    return "/".join(key.asset_key.path[1:])


def _by_asset(checks: Iterable[dg.AssetCheckKey]) -> dict[tuple[str, str], list[dg.AssetCheckKey]]:
    found: dict[tuple[str, str], list[dg.AssetCheckKey]] = {}
    for key in checks:
        found.setdefault((key.asset_key.path[0], _asset_of(key)), []).append(key)
    return found


def _at(at_s: float) -> str:
    return rfc3339(datetime.fromtimestamp(at_s, timezone.utc))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
