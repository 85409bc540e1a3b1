"""From the log to an experiment: who is compared, what each answered, and what a look at it comes to."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import polars as pl

from checks.compared_losses import Design
from checks.experiment import Comparison, Evidence
from checks.guardrails import Span
from checks.sample_ratio import Assignment
from lake.errors import SettingError
from lake.fixed_schemas import EXPERIMENT_SCHEMA
from lake.input_schema import InputSchema
from lake.parameters.reserved import FALLBACK, RANDOMISED, SHARE
from lake.release.ledger import Entry
from lake.tables import EXPERIMENT, conform
from trainserve_assets.logged import answered, known_since, loss_name, with_losses

SPAN = "5m"
_ASSIGNED = {
    "assigned_release_seq": pl.Int64,
    "assigned_role": pl.String,
    "assigned_arm": pl.String,
    "assigned_package_digest": pl.String,
}
_P95 = 0.95
# A challenger that has not been asked for so long beside the champion is not in an experiment any more.
_ENDED_AFTER = timedelta(days=7)
_DESIGNS: dict[str, Design] = {"challenger": "A/B", "shadow": "shadow"}


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one experiment, and when both were asked: between the later start and the earlier end."""

    design: Design
    champion_digest: str
    challenger_digest: str
    challenger_arm: str
    challenger_seq: int
    from_utc: datetime
    until_utc: datetime
    ended: bool


def as_assigned(rows: pl.LazyFrame, entries: Sequence[Entry]) -> pl.LazyFrame:
    """The rows, each as one of the arm that it was assigned to: where that failed and another answered, a failure of its own.

    So a model that fails the requests it finds hard neither loses them from its side nor leaves them on the other's.
    """
    if "assigned_release_seq" not in rows.collect_schema():  # no row since there are assignments
        return rows
    decided = [(one.event.seq, one.decision.role, one.decision.arm, one.decision.package_digest) for one in entries]
    releases = pl.LazyFrame(decided, schema=_ASSIGNED, orient="row")
    joined = rows.join(releases, on="assigned_release_seq", how="left", maintain_order="left")
    made_up_for = pl.col("assigned_role").is_not_null() & (pl.col("purpose") == "answer") & (pl.col("rule") == FALLBACK)
    own = {
        "role": pl.col("assigned_role"),
        "arm": pl.col("assigned_arm"),
        "package_digest": pl.col("assigned_package_digest"),
        "release_seq": pl.col("assigned_release_seq"),
        "rule": pl.lit(SHARE),
        "outcome": pl.lit("failed"),
    }
    return joined.with_columns(
        pl.when(made_up_for).then(assigned).otherwise(name).alias(name) for name, assigned in own.items()
    ).drop("assigned_role", "assigned_arm", "assigned_package_digest")


def pairs(rows: pl.LazyFrame) -> list[Pair]:
    """The champion that was asked last, against each challenger and shadow that was asked while it was."""
    asked = (pl.col("purpose") == "answer") & pl.col("role").is_in(["champion", "challenger"])
    shadowed = (pl.col("purpose") == "shadow") & (pl.col("role") == "shadow")
    spans = (
        rows.filter(asked | shadowed)
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
    others = spans.filter(pl.col("role") != "champion").join(champions, how="cross", suffix="_champion")
    return [
        Pair(
            design=_DESIGNS[one["role"]],
            champion_digest=one["package_digest_champion"],
            challenger_digest=one["package_digest"],
            challenger_arm=one["arm"],
            challenger_seq=one["release_seq"],
            from_utc=max(one["first"], one["first_champion"]),
            until_utc=min(one["last"], one["last_champion"]),
            ended=one["last_champion"] - one["last"] > _ENDED_AFTER,
        )
        for one in others.iter_rows(named=True)
        if max(one["first"], one["first_champion"]) < min(one["last"], one["last_champion"])
    ]


def asked_of(rows: pl.LazyFrame, pair: Pair) -> pl.LazyFrame:
    """The rows of both arms while both were asked, with `unit`, what was randomised or answered by both, and `challenger`.

    A row that a rule of the operator's answered, or sent to an arm, was not randomised. `rows` are those of `as_assigned`.
    """
    randomised = (pl.col("purpose") == "answer") & (pl.col("rule").is_null() | pl.col("rule").is_in(RANDOMISED))
    champion = (pl.col("package_digest") == pair.champion_digest) & randomised
    asked = pl.col("purpose") == "shadow" if pair.design == "shadow" else randomised
    challenger = (pl.col("package_digest") == pair.challenger_digest) & asked
    both = pl.format("{}/{}", "request_id", "row")
    return rows.filter(champion | challenger, pl.col("received_at_utc").is_between(pair.from_utc, pair.until_utc)).with_columns(
        unit=both if pair.design == "shadow" else pl.coalesce("routing_key_hash", "request_id"),
        challenger=challenger,
        day=pl.col("event_date"),
    )


def evidence(
    asked: pl.LazyFrame,
    pair: Pair,
    schema: InputSchema,
    metric: str,
    slices: Sequence[str],
    greatest_p95_ratio: float,
    assignments: Sequence[Assignment],
    gone_share: float,
) -> Evidence:
    """What `checks.experiment.compare` judges. Raises SettingError for an unknown metric."""
    kept = {field.name: field.type for field in schema.kept().fields if not field.sensitive}
    fields = [name for name in slices if kept.get(name) in ("category", "boolean")]
    return Evidence(
        design=pair.design,
        answers=answers(asked, schema, metric, fields),
        assignments=assignments if pair.design == "A/B" else (),
        spans=spans(asked, greatest_p95_ratio),
        slices=fields,
        gone_share=gone_share,
        ended=pair.ended,
    )


def answers(asked: pl.LazyFrame, schema: InputSchema, metric: str, fields: Sequence[str]) -> pl.DataFrame:
    """The answers of both arms, with their losses where their labels have arrived, and the fields of their slices."""
    if metric not in (loss_name(schema), "brier") or (metric == "brier" and schema.task != "binary"):
        raise SettingError("metric of an experiment", metric, f"{loss_name(schema)}, or brier for a binary use case")
    scored = with_losses(asked, schema, {}).filter(answered())
    chosen = (pl.col("score") - pl.col("truth")) ** 2 if metric == "brier" else pl.col("loss")
    values = {name: pl.col("features").struct.field(name).drop_nulls().first().over("unit") for name in fields}
    return scored.select("unit", "day", "challenger", loss=chosen, **values).collect()


def spans(asked: pl.LazyFrame, greatest_p95_ratio: float) -> list[Span]:
    """The traffic of both arms in spans of five minutes of arrival."""
    challenger, failed = pl.col("challenger"), pl.col("outcome") == "failed"
    usual = pl.col("latency_us").filter(~challenger & answered()).quantile(_P95)
    counted = (
        asked.filter(answered() | failed)
        .with_columns(slow=(pl.col("latency_us") > greatest_p95_ratio * usual).fill_null(value=False))
        .group_by(pl.col("received_at_utc").dt.truncate(SPAN))
        .agg(
            champion=(~challenger).sum(),
            champion_failed=(~challenger & failed).sum(),
            challenger=challenger.sum(),
            challenger_failed=(challenger & failed).sum(),
            challenger_slow=(challenger & answered() & pl.col("slow")).sum(),
        )
        .sort("received_at_utc")
        .drop("received_at_utc")
        .collect()
    )
    return [Span(**row) for row in counted.iter_rows(named=True)]


def known_until(asked: pl.LazyFrame) -> datetime:
    """When the newest row or label of an experiment arrived: the look rests on what was known then."""
    known: datetime = asked.select(known_since()).collect().item()
    return known


def experiment_row(pair: Pair, compared: Comparison, decided_at_utc: datetime, metric: str) -> pl.DataFrame:
    """The row of `experiment` for one look."""
    row = {
        **{name: getattr(compared, name) for name in EXPERIMENT_SCHEMA if name in compared.__struct_fields__},
        "decided_at_utc": decided_at_utc,
        "champion_digest": pair.champion_digest,
        "challenger_digest": pair.challenger_digest,
        "challenger_arm": pair.challenger_arm,
        "metric": metric,
        "interval_low": compared.low,
        "interval_high": compared.high,
        "guardrails": msgspec.to_builtins(compared.guardrails),
        "worst_slice": msgspec.to_builtins(compared.worst_slice),
    }
    return conform(pl.DataFrame([row], schema=EXPERIMENT_SCHEMA), EXPERIMENT_SCHEMA, EXPERIMENT)
