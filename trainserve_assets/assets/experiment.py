"""The asset `experiment`: champion against challenger, on what was answered and labelled."""

import os
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from checks.experiment import Comparison, compare
from lake.input_schema import read_input_schema
from lake.release.live import fold
from lake.tables import EXPERIMENT, LABELS, PREDICTIONS
from trainserve_assets.automation import when_the_log_grew
from trainserve_assets.experiment import Pair, asked_of, evidence, experiment_row, known_until, pairs
from trainserve_assets.logged import loss_name, read_log
from trainserve_assets.planned_shares import assignments, find_plan, stages
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


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
        description=(
            "One row per look at a champion and a challenger or shadow, keyed by both packages and by when the newest label that "
            "it rests on had arrived (UTC): go, no-go, keep running or invalid, with the numbers behind it and the reason. It "
            "advises; a person releases."
        ),
    )
    def experiment(config: ExperimentConfig, lake: LakeResource) -> dg.MaterializeResult[None]:
        log = read_log(lake.home.lake, read_input_schema(lake.store, use_case.name), config.days_back)
        looks = {pair: look(lake, use_case, log, pair) for pair in pairs(log)}
        known = {pair: known_until(asked_of(log, pair)) for pair in looks}
        rows = [experiment_row(pair, found, known[pair], _metric(use_case, pair)) for pair, found in looks.items()]
        table = lake.table(use_case.name, EXPERIMENT)
        added = table.append_new(pl.concat(rows), ["champion_digest", "challenger_digest", "decided_at_utc"]) if rows else 0
        return dg.MaterializeResult(metadata={"new_looks": added, "delta_version": table.version(), **_shown(looks)})

    return dg.Definitions(assets=[experiment])


def look(lake: LakeResource, use_case: UseCase, log: pl.LazyFrame, pair: Pair) -> Comparison:
    """One look at one pair, with the plan that the parameters and the ledger give."""
    asked = asked_of(log, pair)
    live = fold(lake.ledger(use_case.name).entries[: pair.challenger_seq])
    versions = asked.select(pl.col("parameters_version").unique()).collect().to_series().to_list()
    plans = {}
    for version in versions:
        parameters = find_plan(lake.store, use_case.name, version, os.environ)
        plans[version] = [] if parameters is None else stages(parameters, live, pair.challenger_arm)
    plan, metric = use_case.experiment_plan(pair.challenger_arm), _metric(use_case, pair)
    planned = assignments(asked, plans) if pair.design == "A/B" else []
    known = evidence(asked, pair, use_case.input_schema, metric, use_case.slices, plan.greatest_p95_ratio, planned)
    return compare(known, plan, metric)


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
        "ends_on": None if newest.ends_on is None else newest.ends_on.isoformat(),
    }
    return {
        "verdict": newest.verdict,
        "reason": newest.reason,
        "design": f"{newest.design}, {newest.method}",
        "days": newest.days,
        **{name: value for name, value in numbers.items() if value is not None},
        **({"guardrails": _guardrails(newest)} if newest.guardrails else {}),
    }


def _guardrails(look: Comparison) -> dg.TableMetadataValue:
    columns = {"name": "string", "crossed": "bool", "observed": "float", "low": "float", "limit": "float", "n": "int"}
    records = [dg.TableRecord({name: getattr(one, name) for name in columns}) for one in look.guardrails]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()]))
