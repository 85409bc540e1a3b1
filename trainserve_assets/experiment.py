"""From the log to an experiment: who is compared, their labelled losses, and how requests were meant to be shared out."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import pairwise

import msgspec
import polars as pl

from checks.experiment import Comparison
from checks.sample_ratio import Assignment
from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.input_schema import InputSchema
from lake.parameters import Parameters, find_parameters, parameters_from_environment
from lake.parameters.shares import share_of
from lake.release.live import Live
from lake.tables import EXPERIMENT, EXPERIMENT_SCHEMA, conform
from trainserve_assets.logged import answered, known_since, loss_name, with_losses

_RANDOMISED = ("champion", "share")
_FIRST, _LAST = (moment.replace(tzinfo=timezone.utc) for moment in (datetime.min, datetime.max))  # noqa: DTZ901 - it has its zone


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A span in which the planned share of a challenger stays; `share` is None where the plan is not known."""

    from_utc: datetime = _FIRST
    until_utc: datetime = _LAST
    share: float | None = None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one experiment, and when both were asked: between the later start and the earlier end."""

    champion_digest: str
    challenger_digest: str
    challenger_arm: str
    challenger_seq: int
    from_utc: datetime
    until_utc: datetime


def pairs(rows: pl.LazyFrame) -> list[Pair]:
    """The champion that was asked last, against each challenger that was asked while it was."""
    spans = (
        rows.filter(pl.col("role").is_in(["champion", "challenger"]), pl.col("purpose") == "answer")
        .group_by("role", "package_digest")
        .agg(
            first=pl.col("received_at_utc").min(),
            last=pl.col("received_at_utc").max(),
            newest=pl.struct("arm", "release_seq").sort_by("received_at_utc").last(),
        )
        .unnest("newest")
        .sort("last", "package_digest")
        .collect()
    )
    champions = spans.filter(role="champion").tail(1)
    challengers = spans.filter(role="challenger").join(champions, how="cross", suffix="_champion")
    return [
        Pair(
            champion_digest=one["package_digest_champion"],
            challenger_digest=one["package_digest"],
            challenger_arm=one["arm"],
            challenger_seq=one["release_seq"],
            from_utc=max(one["first"], one["first_champion"]),
            until_utc=min(one["last"], one["last_champion"]),
        )
        for one in challengers.iter_rows(named=True)
        if max(one["first"], one["first_champion"]) < min(one["last"], one["last_champion"])
    ]


def asked_of(rows: pl.LazyFrame, pair: Pair) -> pl.LazyFrame:
    """The rows of both arms while both were asked, with `unit`, what was randomised, and `challenger`.

    A row that a rule of the operator's answered, or sent to an arm, was not randomised, nor one that fell back.
    """
    return rows.filter(
        pl.col("purpose") == "answer",
        pl.col("rule").is_null() | pl.col("rule").is_in(_RANDOMISED),
        pl.col("received_at_utc").is_between(pair.from_utc, pair.until_utc),
        pl.col("package_digest").is_in([pair.champion_digest, pair.challenger_digest]),
    ).with_columns(
        unit=pl.coalesce("routing_key_hash", "request_id"),
        challenger=pl.col("package_digest") == pair.challenger_digest,
        day=pl.col("event_date"),
    )


def losses(asked: pl.LazyFrame, schema: InputSchema, metric: str) -> pl.DataFrame:
    """The labelled answers as `checks.experiment.compare` takes them. Raises SettingError for an unknown metric."""
    if metric not in (loss_name(schema), "brier") or (metric == "brier" and schema.task != "binary"):
        raise SettingError("monitoring.experiment_metric", metric, f"{loss_name(schema)}, or brier for a binary use case")
    scored = with_losses(asked, schema, {}).filter(answered() & pl.col("loss").is_not_null())
    chosen = (pl.col("score") - pl.col("truth")) ** 2 if metric == "brier" else pl.col("loss")
    return scored.select("unit", "day", "challenger", loss=chosen).collect()


def known_until(asked: pl.LazyFrame) -> datetime:
    """When the newest row or label of an experiment arrived: the look rests on what was known then."""
    known: datetime = asked.select(known_since()).collect().item()
    return known


def assignments(asked: pl.LazyFrame, plans: Mapping[int, Sequence[Stage]]) -> list[Assignment]:
    """For each version of the parameters, and each step of a ramp in it, the units that it was first to route.

    Beside them stand the planned shares. Empty when the plan of any that routed one is not known.
    """
    first = (
        asked.sort("received_at_utc", "request_id", "row")
        .unique("unit", keep="first", maintain_order=True)
        .select("parameters_version", "received_at_utc", "challenger")
        .collect()
    )
    found = []
    for (version,), units in sorted(first.partition_by("parameters_version", as_dict=True).items()):
        for stage in plans.get(int(version), ()) or (Stage(),):
            routed = units.filter(pl.col("received_at_utc").is_between(stage.from_utc, stage.until_utc, closed="left"))
            if routed.is_empty():
                continue
            if stage.share is None:
                return []
            challenger = int(routed["challenger"].sum())
            found.append(Assignment(units=(routed.height - challenger, challenger), shares=(1 - stage.share, stage.share)))
    return found


def stages(plan: Parameters, live: Live, arm: str) -> list[Stage]:
    """The challenger's part of what it and the champion get together, from step to step; None when it was not live."""
    moments = sorted({step.at_utc for one in plan.arms.values() if one.ramp is not None for step in one.ramp.steps})
    bounds = [_FIRST, *moments, _LAST]
    return [
        Stage(from_utc=start, until_utc=end, share=challenger_share(plan, live, arm, start)) for start, end in pairwise(bounds)
    ]


def challenger_share(plan: Parameters, live: Live, arm: str, now: datetime) -> float | None:
    """The challenger's part of what it and the champion get together at this moment; None when it was not live."""
    planned = {
        name: share_of(plan.arms[name], release, now) if name in plan.arms and plan.arms[name].active else 0.0
        for name, release in live.releases.items()
        if release.role == "challenger"
    }
    if arm not in planned:
        return None
    return planned[arm] / (planned[arm] + 1 - sum(planned.values()))


def find_plan(store: DocumentStore, use_case: str, version: int, environment: Mapping[str, str]) -> Parameters | None:
    """The parameters of this version; version 0 is what the environment says, where it says anything."""
    if version:
        return find_parameters(store, use_case, version)
    return parameters_from_environment(environment).get(use_case) if environment.get("PROXY_UPSTREAMS") else None


def experiment_row(pair: Pair, compared: Comparison, decided_at_utc: datetime, metric: str) -> pl.DataFrame:
    """The row of `experiment` for one comparison."""
    row = {
        "decided_at_utc": decided_at_utc,
        "champion_digest": pair.champion_digest,
        "challenger_digest": pair.challenger_digest,
        "verdict": compared.verdict,
        "reason": compared.reason,
        "metric": metric,
        "champion_value": compared.champion_value,
        "challenger_value": compared.challenger_value,
        "difference": compared.difference,
        "interval_low": compared.low,
        "interval_high": compared.high,
        "champion_n": compared.champion_n,
        "challenger_n": compared.challenger_n,
        "days": compared.days,
    }
    return conform(pl.DataFrame([row], schema=EXPERIMENT_SCHEMA), EXPERIMENT_SCHEMA, EXPERIMENT)
