"""Traffic: what clients asked for in each span of five minutes of event time, over all arms."""

from datetime import datetime, timedelta

import polars as pl

from lake.filing import filing_time
from lake.parameters.reserved import FALLBACK
from trainserve_assets.logged import answered, stretch
from trainserve_assets.windows.metrics import ALL_ARMS, LATENCIES, OUTCOMES, ROWS, Figure, windows_of

SPAN = timedelta(minutes=5)
ONE_INPUT, ONE_KEY = "most_of_one_input", "most_of_one_key"
# Rows whose input an earlier row of the span has.
REPEATED = "repeated_inputs"
# Answers that a fallback gave, and those that are other than the model's own scores.
BY_FALLBACK, OTHER = "answered_by_fallback", "answered_otherwise"
_MOST = {ONE_INPUT: "input", ONE_KEY: "key"}


def span_start(moment: datetime) -> datetime:
    """The beginning of the span that a moment is in."""
    return moment - (moment - datetime.min.replace(tzinfo=moment.tzinfo)) % SPAN


def span_columns() -> list[pl.Expr]:
    """What of the log spans are computed from, as small as it can be kept.

    The same is the same input, all its fields; or the same key: the entity, else what requests are routed by, else the client.
    """
    key = pl.coalesce("entity_key_hash", "routing_key_hash", "client_id")
    return [
        *map(pl.col, ("purpose", "outcome", "event_time_utc", "received_at_utc", "latency_us")),
        (answered() & (pl.col("rule") == FALLBACK).fill_null(value=False)).alias("by_fallback"),
        (answered() & pl.col("answer").ne_missing(pl.col("scores"))).alias("other"),
        pl.coalesce(_hashed(pl.col("features")), _hashed(pl.col("raw"))).alias("input"),
        _hashed(key).alias("key"),
    ]


def spans_since(predictions: pl.LazyFrame, since: datetime) -> pl.DataFrame:
    """The same of all rows from this event time on. Of rows logged before them only the times are read."""
    filed = stretch(predictions, filing_time() >= since).with_columns(event_time_utc=filing_time())
    return filed.filter(pl.col("event_time_utc") >= since).select(span_columns()).collect()


def span_windows(rows: pl.DataFrame, until: datetime) -> pl.DataFrame:
    """The figures of each span that has ended by this event time: rows, outcomes, latency, how often the same came."""
    asked = rows.lazy().with_columns(arm=pl.lit(ALL_ARMS), labelled_at_utc=pl.lit(None, pl.Datetime("us", "UTC")))
    columns = ["arm", "event_time_utc", "received_at_utc", "labelled_at_utc", "outcome", "latency_us", "by_fallback", "other"]
    is_closed = (pl.col("purpose") == "answer") & (pl.col("event_time_utc") < span_start(until))
    closed = asked.filter(is_closed).select(*columns, *_MOST.values()).collect()
    most = {name: pl.col(of).drop_nulls().unique_counts().max().fill_null(0) for name, of in _MOST.items()}
    figures = {
        ROWS: Figure(pl.len(), pl.len()),
        **{outcome: Figure((pl.col("outcome") == outcome).sum(), pl.len()) for outcome in OUTCOMES},
        **{
            name: Figure(pl.col("latency_us").filter(answered()).quantile(level), answered().sum())
            for name, level in LATENCIES.items()
        },
        **{name: Figure(value, pl.len()) for name, value in most.items()},
        REPEATED: Figure(pl.col("input").drop_nulls().len() - pl.col("input").drop_nulls().n_unique(), pl.len()),
        BY_FALLBACK: Figure(pl.col("by_fallback").sum(), answered().sum()),
        OTHER: Figure(pl.col("other").sum(), answered().sum()),
    }
    return windows_of(closed, "event_time_utc", "5m", figures)


def _hashed(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_not_null()).then(value.hash())
