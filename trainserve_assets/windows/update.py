"""Bringing the table `windows` up to date: only days that new predictions or labels touched are computed again."""

from datetime import date, timedelta

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.input_schema import InputSchema
from lake.tables import WINDOWS, filing_time
from trainserve_assets.logged import known_since, read_log, with_losses
from trainserve_assets.windows.inputs import input_windows
from trainserve_assets.windows.metrics import (
    LABELLED,
    ROWS,
    day_windows,
    hour_windows,
    latency_windows,
    sorted_windows,
)
from trainserve_assets.windows.reference import References
from trainserve_assets.windows.table import append_windows, newest_windows


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """What an update did. `without_reference` are packages that answered and that the lake does not hold."""

    days: tuple[date, ...]
    rows: int
    figures: int
    without_reference: tuple[str, ...] = ()


def update_windows(lake: str, schema: InputSchema, days_back: int, false_alarm_rate: float) -> Update:
    """Append the figures of all days, at most `days_back` before the newest, about which more is known than before.

    Raises NotFound before the first prediction is logged.
    """
    log, table = read_log(lake, schema, days_back), Table(lake, schema.use_case, WINDOWS)
    days = touched_days(log, newest_windows(table, days_back))
    if not days:
        return Update(days=(), rows=0, figures=0)
    touched = log.filter(pl.col("event_date").is_in(days)).with_columns(event_time_utc=filing_time()).collect()
    references = References(DocumentStore(lake), schema)
    packages = touched["package_digest"].drop_nulls().unique().sort()
    known = {digest: found for digest in packages if (found := references.of(digest)) is not None}
    rows = with_losses(touched.lazy(), schema, {digest: found.usual for digest, found in known.items()}).collect()
    arrived = touched["received_at_utc"].dt.date().unique().to_list()
    arrivals = log.filter(pl.col("received_at_utc").dt.date().is_in(arrived))
    windows = sorted_windows(
        [
            day_windows(rows, schema),
            hour_windows(rows),
            latency_windows(arrivals.select("arm", "outcome", "received_at_utc", "latency_us").collect()),
            input_windows(rows, known, false_alarm_rate),
        ]
    )
    return Update(
        days=tuple(days),
        rows=rows.height,
        figures=append_windows(table, windows),
        without_reference=tuple(digest for digest in packages if digest not in known),
    )


def touched_days(rows: pl.LazyFrame, windows: pl.DataFrame) -> list[date]:
    """The event days whose rows, labels or newest arrival differ from what the windows were computed from."""
    now = rows.group_by("event_date", "arm").agg(
        rows=pl.len().cast(pl.Float64),
        labelled=(pl.col("label").is_not_null() & (pl.col("outcome") == "answered")).sum().cast(pl.Float64),
        known=known_since(),
    )
    whole_days = pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1)
    before = (
        windows.lazy()
        .filter(whole_days, pl.col("metric").is_in([ROWS, LABELLED]))
        .group_by(pl.col("span_start_utc").dt.date().alias("event_date"), "arm")
        .agg(
            rows=pl.col("value").filter(pl.col("metric") == ROWS).first(),
            labelled=pl.col("value").filter(pl.col("metric") == LABELLED).first(),
            known=pl.col("labels_as_of_utc").max(),
        )
    )
    changed = now.join(before, on=["event_date", "arm", "rows", "labelled", "known"], how="anti")
    return changed.select(pl.col("event_date").unique().sort()).collect().to_series().to_list()
