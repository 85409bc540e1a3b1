"""The figures of a window: each is a value with the number of rows behind it, as rows of the table `windows`."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import polars as pl

from lake.fixed_schemas import WINDOWS_SCHEMA
from lake.input_schema import InputSchema
from lake.tables import WINDOWS, conform
from trainserve_assets.logged import answered, known_since, loss_name

ALL_ARMS = "all arms"
WHOLE = "all"
ROWS = "rows"
LABELLED = "labelled"
# The slices are the classes; a probability says yes from a half on.
CLASS_SHARE, _YES_FROM = "class_share", 0.5
# Counts of answers, their slices are the packages and the versions of the parameters that gave them.
OF_PACKAGE, OF_PARAMETERS = "answered_by_package", "answered_by_parameters"

OUTCOMES = ("answered", "refused", "failed", "inactive")
_QUANTILES = {"score_p10": 0.1, "score_p50": 0.5, "score_p90": 0.9}
LATENCIES = {"latency_p50_us": 0.5, "latency_p99_us": 0.99}


class Figure(NamedTuple):
    """A metric as two aggregations over the rows of a window."""

    value: pl.Expr
    n: pl.Expr


def day_figures(schema: InputSchema) -> dict[str, Figure]:
    """The metrics of one arm on one day of event time."""
    has_label = answered() & pl.col("label").is_not_null()
    rows, answers, labels = pl.len(), answered().sum(), has_label.sum()
    truth, score = pl.col("truth").filter(has_label), pl.col("score").filter(has_label)
    figures = {
        ROWS: Figure(rows, rows),
        **{outcome: Figure((pl.col("outcome") == outcome).sum(), rows) for outcome in OUTCOMES},
        LABELLED: Figure(labels, answers),
        "labelled_share": Figure(labels / answers, answers),
        loss_name(schema): Figure(pl.col("loss").filter(has_label).mean(), labels),
        f"base_rate_{loss_name(schema)}": Figure(pl.col("base_loss").filter(has_label).mean(), labels),
    }
    if schema.task != "multiclass":
        figures["mean_score"] = Figure(pl.col("score").mean(), answers)
        figures |= {name: Figure(pl.col("score").quantile(level), answers) for name, level in _QUANTILES.items()}
        figures["mean_labelled_score"] = Figure(score.mean(), labels)
        figures["label_rate"] = Figure(truth.mean(), labels)
        figures["predicted_over_observed"] = Figure(score.sum() / truth.sum(), labels)
    if schema.task == "binary":
        figures["auc"] = Figure(_auc(score, truth), labels)
    return figures


def judged_figures(schema: InputSchema) -> dict[str, Figure]:
    """Those of them that answers are judged by once their labels are there."""
    return {name: figure for name, figure in day_figures(schema).items() if name in judged_names(schema)}


def judged_names(schema: InputSchema) -> dict[str, str]:
    """What they are called here, and in `checks.days`."""
    loss = loss_name(schema)
    names = {"labelled_share": "labelled_share", loss: "loss", f"base_rate_{loss}": "base_loss"}
    return names if schema.task == "multiclass" else names | {"mean_labelled_score": "predicted", "label_rate": "observed"}


def count_windows(rows: pl.DataFrame, metric: str, by: str) -> pl.DataFrame:
    """How many answers of each arm and day came from each value of a column; known since the newest of them arrived."""
    start = pl.col("event_time_utc").dt.truncate("1d").alias("start")
    counts = rows.lazy().filter(answered()).group_by(start, "arm", slice=pl.col(by))
    found = counts.agg(n=pl.len().cast(pl.Int64), known=pl.col("received_at_utc").max()).collect()
    found = found.with_columns(pl.col("slice").cast(pl.String).fill_null("none"))
    return conformed(found.with_columns(metric=pl.lit(metric), value=pl.col("n").cast(pl.Float64)), "1d")


def class_windows(rows: pl.DataFrame, schema: InputSchema) -> pl.DataFrame:
    """For each arm, day and class the share of the answers that say it: the likeliest class, or from a half on yes."""
    match schema.task:
        case "binary":
            says = {"no": pl.col("score") < _YES_FROM, "yes": pl.col("score") >= _YES_FROM}
        case "multiclass":
            likeliest = pl.coalesce("answer", "scores").list.arg_max()
            says = {name: likeliest == position for position, name in enumerate(schema.classes)}
        case "regression":
            says = {}
    day = pl.col("event_time_utc").dt.truncate("1d").alias("start")
    daily = rows.lazy().filter(answered()).group_by(day, "arm")
    shares = daily.agg(
        n=pl.len().cast(pl.Int64), known=pl.col("received_at_utc").max(), **{name: s.mean() for name, s in says.items()}
    )
    long = shares.collect().unpivot([*says], index=["start", "arm", "n", "known"], variable_name="slice")
    return conformed(long.with_columns(pl.col("value").cast(pl.Float64), metric=pl.lit(CLASS_SHARE)), "1d")


def day_windows(rows: pl.DataFrame, schema: InputSchema) -> pl.DataFrame:
    """The figures of each arm and day of event time."""
    return windows_of(rows, "event_time_utc", "1d", day_figures(schema))


def latency_windows(rows: pl.DataFrame) -> pl.DataFrame:
    """The latencies of each arm and day of arrival: how fast it was is a matter of when it was asked."""
    answers = rows.filter(answered()).with_columns(labelled_at_utc=pl.lit(None))
    figures = {name: Figure(pl.col("latency_us").quantile(level), pl.len()) for name, level in LATENCIES.items()}
    return windows_of(answers, "received_at_utc", "1d", figures)


def windows_of(rows: pl.DataFrame, time: str, every: str, figures: Mapping[str, Figure]) -> pl.DataFrame:
    """One row for each span, arm and figure that has a value."""
    aggregations = {
        "known": known_since(),
        **{name: pl.struct(value=figure.value.cast(pl.Float64), n=figure.n.cast(pl.Int64)) for name, figure in figures.items()},
    }
    spans = rows.with_columns(start=pl.col(time).dt.truncate(every))
    grouped = aggregated(spans, ["start", "arm"], aggregations)
    keys = ["start", "arm", "known"]
    long = pl.concat(
        grouped.select(*keys, pl.col(name).struct.unnest(), metric=pl.lit(name), slice=pl.lit(WHOLE)) for name in figures
    )
    return conformed(long.filter(pl.col("value").is_finite()), every)


def aggregated(rows: pl.DataFrame, keys: list[str], aggregations: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """One row for each group of these keys.

    A group alone needs neither the numbers of its rows nor copies of what they gather.
    """
    if rows.group_by(keys).agg(pl.len()).height == 1:
        return rows.select(pl.col(keys).first(), **aggregations)
    return rows.group_by(keys).agg(**aggregations)


def conformed(long: pl.DataFrame, every: str) -> pl.DataFrame:
    """As rows of `windows`: figures with `start`, the beginning of their span, and `known`, when the newest row arrived."""
    windows = long.select(
        "arm",
        "metric",
        "slice",
        "value",
        "n",
        span_start_utc="start",
        span_end_utc=pl.col("start").dt.offset_by(every),
        labels_as_of_utc="known",
    )
    return conform(windows.select(WINDOWS_SCHEMA.names()), WINDOWS_SCHEMA, WINDOWS)


def sorted_windows(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """All windows in one order."""
    return pl.concat(parts).sort("span_start_utc", "span_end_utc", "arm", "metric", "slice")


def _auc(score: pl.Expr, truth: pl.Expr) -> pl.Expr:
    """The probability that a positive scores above a negative, ties half: from the ranks of the positives."""
    positives, rows = (truth == 1).sum().cast(pl.Float64), truth.len().cast(pl.Float64)
    ranks = score.rank("average").filter(truth == 1).sum()
    return (ranks - positives * (positives + 1) / 2) / (positives * (rows - positives))
