"""Tables that are maintained: their rows, their files, and how old these are."""

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from lake.delta import Table
from lake.delta_maintenance import configure
from lake.home import Home
from lake.log.maintenance import FEWEST_SMALL_FILES, Upkeep
from tests.scenario import USE_CASE

NOW = datetime(2026, 3, 6, 12, tzinfo=timezone.utc)
UPKEEP = Upkeep()


def table(home: Home, name: str = "log") -> Table:
    return Table(home.lake, USE_CASE, name)


def rows(first: int, last: int, *, days_ago: int = 0, source: str = "a") -> pl.DataFrame:
    """Rows of one source with these numbers, which arrived so many days ago, on two days of event time."""
    return pl.DataFrame({"seq": range(first, last + 1)}).with_columns(
        source=pl.lit(source),
        received_at_utc=pl.lit(NOW - timedelta(days=days_ago), pl.Datetime("us", "UTC")),
        event_date=pl.date(2026, 3, 1 + pl.col("seq") % 2),
    )


def fill(home: Home, commits: int = FEWEST_SMALL_FILES) -> Table:
    """A table with two files for each commit, one on each day of event time."""
    for number in range(commits):
        table(home).append_once(rows(2 * number + 1, 2 * number + 2), "a", ["event_date"])
    return table(home)


def numbers(target: Table) -> list[int]:
    return target.scan().collect()["seq"].sort().to_list()


def files(target: Table) -> set[Path]:
    """The data files that stand in the table's folder."""
    return set(Path(target.uri).rglob("*.parquet")) - set((Path(target.uri) / "_delta_log").iterdir())


def age(target: Table, hours: float) -> None:
    """Let all that stands in the table's folder be older."""
    for path in Path(target.uri).rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - hours * 3600
            os.utime(path, (at, at))


def unused(target: Table) -> None:
    """Let files be removed as soon as they are without use, as they are when hours have gone by."""
    configure(target, {"delta.deletedFileRetentionDuration": "interval 0 hours"})
