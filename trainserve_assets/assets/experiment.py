"""The asset `experiment`: champion against challenger, on what was answered and labelled."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from checks.experiment import Comparison, compare
from checks.verdict import Remedy, Verdict
from lake.input_schema import read_input_schema
from lake.release.live import fold
from lake.release.trust import Trust
from lake.tables import EXPERIMENT, LABELS, PREDICTIONS
from lake.times import now_utc
from trainserve_assets.automation import when_the_log_grew
from trainserve_assets.experiment import Pair, as_assigned, asked_of, evidence, experiment_row, known_until, pairs
from trainserve_assets.logged import loss_name, read_log
from trainserve_assets.lowering import Harm, InForce, Outcome, lower
from trainserve_assets.planned_shares import assignments, find_plan, mirrored, sample_of, stages
from trainserve_assets.readable import readable
from trainserve_assets.resources import LakeResource
from trainserve_assets.sealed import sealed_answers
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result

CHECK = "challengers_do_no_harm"
_GONE = "it is live no more"
_DONE: Mapping[Outcome, str] = {
    "lowered": "its share went to zero",
    "lowered before": "its share was taken away for this before, and somebody gave it one again",
    "no share": "it has no share",
    "no parameters": "its share is not known: store parameters, or give Dagster the PROXY_ variables of the proxy",
}


class ExperimentConfig(dg.Config):
    """How much of the log is compared."""

    days_back: int = Field(
        default=92, description="Days of event time, counted back from the newest logged one, that are compared"
    )


def experiment_definitions(use_case: UseCase) -> dg.Definitions:
    """The experiment of a use case."""

    @dg.asset(
        key=[use_case.name, EXPERIMENT],
        deps=[dg.AssetKey([use_case.name, PREDICTIONS]), dg.AssetKey([use_case.name, LABELS])],
        group_name="monitoring",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        automation_condition=when_the_log_grew("*/5 * * * *"),
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=[use_case.name, EXPERIMENT],
                description="No challenger or shadow has crossed a guardrail of its experiment. One that has gets no share.",
            )
        ],
        description=(
            "One row per look at a champion and a challenger or shadow, keyed by both packages and by when the newest label that "
            "it rests on had arrived (UTC): go, no-go, keep running or invalid, with the numbers behind it and the reason. It "
            "advises; a person releases. A challenger that does harm gets no share, by a new version of the parameters."
        ),
    )
    def experiment(config: ExperimentConfig, lake: LakeResource) -> Iterator[dg.MaterializeResult[None]]:
        logged = read_log(lake.home.lake, read_input_schema(lake.store, use_case.name), config.days_back)
        log = as_assigned(logged, lake.ledger(use_case.name).entries)
        with lake.naming_files(use_case.name, PREDICTIONS, LABELS):
            looks = {pair: look(lake, use_case, log, pair) for pair in pairs(log)}
            known = {pair: known_until(asked_of(log, pair)) for pair in looks}
        rows = [experiment_row(pair, found, known[pair], _metric(use_case, pair)) for pair, found in looks.items()]
        table = lake.table(use_case.name, EXPERIMENT)
        added = table.append_new(pl.concat(rows), ["champion_digest", "challenger_digest", "decided_at_utc"]) if rows else 0
        stopped = stop_harm(lake, use_case, looks)
        shown = {
            **_shown(looks),
            **({"harm": "; ".join(f"{pair.challenger_arm}: {words}" for pair, words in stopped.items())} if stopped else {}),
        }
        yield dg.MaterializeResult(
            metadata={"new_looks": added, "delta_version": table.version(), **shown},
            check_results=[_check(looks, stopped)],
        )

    return dg.Definitions(assets=[experiment])


def stop_harm(lake: LakeResource, use_case: UseCase, looks: Mapping[Pair, Comparison]) -> dict[Pair, str]:
    """Take its share from each live challenger that does harm; says of each what was done."""
    harmful = {pair: found for pair, found in looks.items() if found.harms}
    if not harmful:
        return {}
    live = fold(lake.ledger(use_case.name).entries)
    schema = read_input_schema(lake.store, use_case.name)
    in_force = InForce(trust=Trust.read(lake.home), tier=use_case.risk_tier, schema=schema, environment=os.environ)
    done = {}
    for pair, found in harmful.items():
        release = live.on(pair.challenger_arm)
        if release is None or release.package_digest != pair.challenger_digest:
            done[pair] = _GONE
            continue
        if release.role != "challenger":
            done[pair] = f"as a {release.role} it answers nobody, so there is no share to take away"
            continue
        crossed = {one.name: str(one) for one in found.guardrails if one.crossed}
        harm = Harm(arm=pair.challenger_arm, package_digest=pair.challenger_digest, guardrails=crossed)
        done[pair] = _DONE[lower(lake.store, in_force, harm, now_utc())]
    return done


def look(lake: LakeResource, use_case: UseCase, log: pl.LazyFrame, pair: Pair) -> Comparison:
    """One look at one pair, with the plan that the parameters and the ledger give."""
    asked = asked_of(log, pair)
    live = fold(lake.ledger(use_case.name).entries[: pair.challenger_seq])
    versions = asked.select(pl.col("parameters_version").unique()).collect().to_series().to_list()
    found = {version: find_plan(lake.store, use_case.name, version, os.environ) for version in versions}
    known_plans = {version: parameters for version, parameters in found.items() if parameters is not None}
    plans = {version: stages(parameters, live, pair.challenger_arm) for version, parameters in known_plans.items()}
    if pair.design == "shadow":
        samples = {version: sample_of(plan, pair.challenger_arm) for version, plan in known_plans.items()}
        asked = mirrored(asked, pair.challenger_arm, samples)
    plan, metric = use_case.experiment_plan(pair.challenger_arm), _metric(use_case, pair)
    planned = assignments(asked, plans) if pair.design == "A/B" else []
    gone = sealed_answers(lake.home.lake, use_case.name, pair.from_utc, pair.until_utc).missing_share
    known = evidence(asked, pair, use_case.input_schema, metric, use_case.slices, plan.greatest_p95_ratio, planned, gone)
    return compare(known, plan, metric)


def _check(looks: Mapping[Pair, Comparison], stopped: Mapping[Pair, str]) -> dg.AssetCheckResult:
    """Whether anything does harm; of each arm its newest package."""
    verdicts = {pair.challenger_arm: _verdict(found, stopped.get(pair)) for pair, found in looks.items()}
    nothing = Verdict(passed=True, reason="no challenger has been asked beside the champion, so none does harm")
    return check_result(verdicts or {"arms": nothing}, dg.AssetCheckSeverity.ERROR)


def _verdict(look: Comparison, done: str | None) -> Verdict:
    """Of the guardrails the one that is crossed furthest, by its own limit. What is live no more does no harm any more."""
    worst = max(look.guardrails, key=lambda one: (one.crossed, one.low - one.limit), default=None)
    if worst is None:
        return Verdict(passed=True, reason="no guardrail can be judged yet, so none is crossed")
    crossed = "; ".join(str(one) for one in look.guardrails if one.crossed)
    reason = f"it did harm: {crossed}; {done}" if crossed else f"no guardrail is crossed; nearest to its limit is {worst}"
    harms = bool(crossed) and done != _GONE
    remedy: Remedy | None = "roll back" if harms else None
    return Verdict(passed=not harms, reason=reason, observed=worst.low, limit=worst.limit, rows=worst.n, remedy=remedy)


def _metric(use_case: UseCase, pair: Pair) -> str:
    return use_case.experiment_plan(pair.challenger_arm).metric or loss_name(use_case.input_schema)


def _shown(looks: dict[Pair, Comparison]) -> dict[str, Any]:
    if not looks:
        return {"verdict": "no challenger has been asked beside the champion"}
    newest = list(looks.values())[-1]
    numbers = {
        "difference": newest.difference,
        "interval_low": newest.low,
        "interval_high": newest.high,
        "sample_ratio_probability": newest.sample_ratio_probability,
    }
    return {
        "verdict": newest.verdict,
        "reason": newest.reason,
        "design": f"{newest.design}, {newest.method}",
        "days": newest.days,
        **{name: readable(value) for name, value in numbers.items() if value is not None},
        **({} if newest.ends_on is None else {"ends_on": newest.ends_on.isoformat()}),
        **({"guardrails": _guardrails(newest)} if newest.guardrails else {}),
    }


def _guardrails(look: Comparison) -> dg.TableMetadataValue:
    columns = {"name": "string", "crossed": "bool", "observed": "float", "low": "float", "limit": "float", "n": "int"}
    figures = [{name: getattr(one, name) for name in columns} for one in look.guardrails]
    records = [
        dg.TableRecord({name: readable(value) if columns[name] == "float" else value for name, value in one.items()})
        for one in figures
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]))
