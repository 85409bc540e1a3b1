"""The table `windows`: how figures are added, and how the newest of each is read."""

from collections.abc import Collection, Sequence
from datetime import timedelta

import polars as pl

from lake.delta import Table
from lake.fixed_schemas import WINDOWS_SCHEMA
from trainserve_assets.windows.metrics import ALL_ARMS, ROWS

# Twelve weeks of history for traffic, and what is judged.
READ_DAYS = 100
# Whether spans are usual is judged by four weeks before the newest day.
SPAN_DAYS = 30

_WINDOW = ["span_start_utc", "span_end_utc", "arm", "metric", "slice"]
_KNOWLEDGE = ["labels_as_of_utc", "n"]


def append_windows(table: Table, windows: pl.DataFrame) -> int:
    """Add the figures that are new; returns how many were. What was known at one time is written once, and stays."""
    return table.append_new(windows, [*_WINDOW, *_KNOWLEDGE])


def newest_windows(table: Table, days_back: int = READ_DAYS) -> pl.DataFrame:
    """The newest value of each figure of a day, known from the most predictions and labels; empty without a table.

    Of days from `days_back` before the newest event time on: days of arrival may be far from those of events.
    """
    return _newest(table, pl.col("arm") != ALL_ARMS, [(pl.lit(value=True), days_back)])


def newest_spans(table: Table) -> pl.DataFrame:
    """The same of the spans of traffic: how many rows they had as far back, their other figures for `SPAN_DAYS`."""
    return _newest(table, pl.col("arm") == ALL_ARMS, [(pl.col("metric") == ROWS, READ_DAYS), (pl.lit(value=True), SPAN_DAYS)])


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


def _newest(table: Table, which: pl.Expr, reach: Sequence[tuple[pl.Expr, int]] | None) -> pl.DataFrame:
    """Of what holds one of `reach`, for so many days back from the newest event time; all, without it."""
    if not table.exists():
        return WINDOWS_SCHEMA.to_frame()
    windows = table.scan().filter(which)
    if reach is not None:
        start = pl.col("span_start_utc")
        newest = windows.filter(pl.col("metric") == ROWS).select(start.max()).collect().item()
        recent = [what & (start > newest - timedelta(days=days)) for what, days in reach] if newest else [pl.lit(value=False)]
        windows = windows.filter(pl.any_horizontal(recent))
    is_last = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift(-1)) for name in _WINDOW)
    return windows.sort(*_WINDOW, *_KNOWLEDGE).filter(is_last).select(WINDOWS_SCHEMA.names()).collect()
