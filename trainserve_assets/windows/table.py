"""The table `windows`: how figures are added, and how the newest of each is read."""

from datetime import timedelta

import polars as pl

from lake.delta import Table
from lake.tables import WINDOWS_SCHEMA
from trainserve_assets.windows.metrics import ROWS

# Twelve weeks of history for volume, and what is judged.
READ_DAYS = 100

_WINDOW = ["span_start_utc", "span_end_utc", "arm", "metric", "slice"]
_KNOWLEDGE = ["labels_as_of_utc", "n"]


def append_windows(table: Table, windows: pl.DataFrame) -> int:
    """Add the figures that are new; returns how many were. What was known at one time is written once, and stays."""
    return table.append_new(windows, [*_WINDOW, *_KNOWLEDGE])


def newest_windows(table: Table, days_back: int = READ_DAYS) -> pl.DataFrame:
    """The newest value of each figure, known from the most predictions and labels; empty without a table.

    Of spans from `days_back` days before the newest event time on: days of arrival may be far from those of events.
    """
    if not table.exists():
        return WINDOWS_SCHEMA.to_frame()
    windows = table.scan()
    newest = windows.filter(pl.col("metric") == ROWS).select(pl.col("span_start_utc").max()).collect().item()
    return (
        windows.filter(pl.col("span_start_utc") > newest - timedelta(days=days_back))
        .sort(*_WINDOW, *_KNOWLEDGE)
        .unique(_WINDOW, keep="last", maintain_order=True)
        .select(WINDOWS_SCHEMA.names())
        .collect()
    )
