"""Windows of the parcels: brought up to date, and read."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import polars as pl

from lake.delta import Table
from lake.home import Home
from lake.tables import WINDOWS
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.windows.table import newest_spans, newest_windows
from trainserve_assets.windows.update import Update, update_windows

DAY = datetime(2013, 7, 2, tzinfo=timezone.utc)


def update(home: Home, days_back: int = 92, slices: Sequence[str] = ()) -> Update:
    return update_windows(home.lake, parcel_schema(), days_back, 0.01, slices)


def table(home: Home) -> Table:
    return Table(home.lake, USE_CASE, WINDOWS)


def figure(home: Home, metric: str, slice_name: str = "all", arm: str = "champion", start: datetime = DAY) -> float:
    found = newest_windows(table(home)).filter(
        (pl.col("metric") == metric)
        & (pl.col("slice") == slice_name)
        & (pl.col("arm") == arm)
        & (pl.col("span_start_utc") == start)
    )
    spans = found.filter(pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1))
    return float(spans["value"].item())


def spans(home: Home, metric: str) -> dict[datetime, float]:
    """The value of each span, by its start."""
    found = newest_spans(table(home)).filter(metric=metric).sort("span_start_utc")
    assert set(found["span_end_utc"] - found["span_start_utc"]) <= {timedelta(minutes=5)}
    return dict(zip(found["span_start_utc"], found["value"], strict=True))
