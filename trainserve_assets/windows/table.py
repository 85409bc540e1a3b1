"""The table `windows`: how figures are added, and how the newest of each is read."""

from collections.abc import Collection
from datetime import timedelta

import polars as pl

from lake.delta import Table
from lake.fixed_schemas import WINDOWS_SCHEMA
from trainserve_assets.windows.metrics import ALL_ARMS, ROWS

# Twelve weeks of history for traffic, and what is judged.
READ_DAYS = 100

_WINDOW = ["span_start_utc", "span_end_utc", "arm", "metric", "slice"]
_KNOWLEDGE = ["labels_as_of_utc", "n"]


def append_windows(table: Table, windows: pl.DataFrame) -> int:
    """Add the figures that are new; returns how many were. What was known at one time is written once, and stays."""
    return table.append_new(windows, [*_WINDOW, *_KNOWLEDGE])


def newest_windows(table: Table, days_back: int = READ_DAYS) -> pl.DataFrame:
    """The newest value of each figure of a day, known from the most predictions and labels; empty without a table.

    Of days from `days_back` before the newest event time on: days of arrival may be far from those of events.
    """
    return _newest(table, pl.col("arm") != ALL_ARMS, days_back)


def newest_spans(table: Table, days_back: int = READ_DAYS) -> pl.DataFrame:
    """The same of the spans of traffic."""
    return _newest(table, pl.col("arm") == ALL_ARMS, days_back)


def newest_figures(table: Table, metrics: Collection[str]) -> pl.DataFrame:
    """The same of some metrics of days, of all days: a test that goes on for as long as a package answers needs the first."""
    return _newest(table, (pl.col("arm") != ALL_ARMS) & pl.col("metric").is_in([*metrics]), None)


def figures_by_knowledge(table: Table, metrics: Collection[str], days_back: int) -> pl.DataFrame:
    """All values of some metrics of the newest days, of each state of knowledge, the oldest first."""
    if not table.exists():
        return WINDOWS_SCHEMA.to_frame()
    mine = table.scan().filter(pl.col("arm") != ALL_ARMS, pl.col("metric").is_in([*metrics]))
    recent = mine.filter(pl.col("span_start_utc") > pl.col("span_start_utc").max() - timedelta(days=days_back))
    return recent.select(WINDOWS_SCHEMA.names()).sort(*_WINDOW, *_KNOWLEDGE).collect()


def _newest(table: Table, which: pl.Expr, days_back: int | None) -> pl.DataFrame:
    if not table.exists():
        return WINDOWS_SCHEMA.to_frame()
    windows = table.scan().filter(which)
    if days_back is not None:
        newest = windows.filter(pl.col("metric") == ROWS).select(pl.col("span_start_utc").max()).collect().item()
        windows = windows.filter(pl.col("span_start_utc") > newest - timedelta(days=days_back)) if newest else windows.head(0)
    return (
        windows.sort(*_WINDOW, *_KNOWLEDGE)
        .unique(_WINDOW, keep="last", maintain_order=True)
        .select(WINDOWS_SCHEMA.names())
        .collect()
    )
