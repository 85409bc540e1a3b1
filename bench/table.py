"""What it costs to open a log table, to read one day of it and to commit to it, after 100 commits and after 10,000.

The commits are those of a shipper that ships every 5 s, with maintenance in between as often as its schedule says. Before
each maintenance the log's files are dated back, as if 5 s lay between two commits, so that it cleans what it would clean; and
files without use are kept for as many commits as there would be in their time.
Both tables stand side by side at the end and are looked at in turn: a machine that is slow for a while is so for both.
"""

import os
import shutil
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import polars as pl

from bench.figures import Line, Report, report
from bench.load import FULL_SECONDS
from lake.delta import Table
from lake.delta_properties import UNUSED
from lake.log.maintenance import Upkeep, maintain

COMMITTED_EVERY_S = 5
MAINTAINED_EVERY = 180  # commits: a quarter of an hour
COMMITS_OF_A_DAY = 100  # of event time, so that every day has as many rows
ROWS_OF_A_COMMIT = 200
FEW, MANY, QUICK = 100, 10_000, 400
LOOKS_OF_A_ROUND = 7
LIBRARIES = ("deltalake", "polars")
_FIRST_DAY = date(2026, 1, 1)

Look = Callable[[Table, int], object]


class Looked(Line, frozen=True, kw_only=True):
    """What one thing takes, in milliseconds: medians over the rounds, and of the ratio within each."""

    what: str
    commits: int
    few_ms: float
    many_ms: float
    ratio: float

    def cells(self) -> dict[str, str]:
        """Both times and their ratio."""
        return {
            "what": self.what,
            f"ms after {FEW} commits": f"{self.few_ms:.1f}",
            f"ms after {self.commits:,}": f"{self.many_ms:.1f}",
            "ratio": f"{self.ratio:.2f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Make both tables, then look at them in turn, round after round."""
    commits = MANY if seconds >= FULL_SECONDS else QUICK
    many = Table(str(folder / "many"), "bench", "predictions")
    few = Table(str(folder / "few"), "bench", "predictions")
    began = time.monotonic()
    for number in range(1, commits + 1):
        _commit(many, number)
        if number % MAINTAINED_EVERY == 0:
            _date_back(Path(many.uri), number)
            haste = number * COMMITTED_EVERY_S / (time.monotonic() - began)
            maintain(many, Upkeep(unused=UNUSED / haste), datetime.now(timezone.utc), thorough=False)
        if number == FEW:
            shutil.copytree(many.uri, few.uri)
        if number % (commits // 10) == 0:
            say(f"{number:,} commits")
    looks: dict[str, Look] = {
        "open": lambda table, _: table.open(),
        "read its first day": lambda table, _: _read(table, _FIRST_DAY),
        "read its newest day": lambda table, number: _read(table, _day(number)),
        "commit": _commit_next,
    }
    taken: dict[str, list[tuple[float, float]]] = {what: [] for what in looks}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for what, look in looks.items():
            taken[what].append(_side_by_side(look, few, many, commits))
    setup = f"{ROWS_OF_A_COMMIT} rows a commit, {COMMITS_OF_A_DAY} commits a day, {rounds} interleaved rounds, medians"
    return report("table", setup, [_line(what, commits, measured) for what, measured in taken.items()], LIBRARIES)


def _line(what: str, commits: int, measured: list[tuple[float, float]]) -> Looked:
    return Looked(
        what=what,
        commits=commits,
        few_ms=median(few for few, _ in measured),
        many_ms=median(many for _, many in measured),
        ratio=median(many / few for few, many in measured),
    )


def _side_by_side(look: Look, few: Table, many: Table, commits: int) -> tuple[float, float]:
    """Milliseconds for each of both tables: the least disturbed of several looks, taken by turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(LOOKS_OF_A_ROUND):
        for table, number, times in ((few, FEW, took[0]), (many, commits, took[1])):
            began = time.perf_counter()
            look(table, number)
            times.append((time.perf_counter() - began) * 1000)
    return min(took[0]), min(took[1])


def _commit(table: Table, number: int) -> None:
    """The commit of this number: rows of its day, as wide as those of a small model."""
    rows = pl.select(seq=pl.int_range((number - 1) * ROWS_OF_A_COMMIT, number * ROWS_OF_A_COMMIT) + 1).with_columns(
        request_id=pl.format("00000000-0000-7000-8000-{}", "seq"),
        arm=pl.lit("champion"),
        received_at_utc=pl.lit(_FIRST_DAY).cast(pl.Datetime("us", "UTC")) + pl.duration(seconds=number * COMMITTED_EVERY_S),
        features=pl.struct(weight=(pl.col("seq") % 97).cast(pl.Float64), depot=pl.format("depot {}", pl.col("seq") % 11)),
        scores=pl.concat_list((pl.col("seq") * 7919 % 1009) / 1009),
        event_date=pl.lit(_day(number)),
    )
    table.append_once(rows, "spool", ["event_date"])


def _commit_next(table: Table, commits: int) -> None:
    newest = table.open().transaction_version("spool") or 0
    _commit(table, newest // ROWS_OF_A_COMMIT + 1)
    del commits


def _day(number: int) -> date:
    return _FIRST_DAY + timedelta(days=(number - 1) // COMMITS_OF_A_DAY)


def _read(table: Table, day: date) -> pl.DataFrame:
    return table.scan().filter(pl.col("event_date") == day).select("received_at_utc", "scores", "features").collect()


def _date_back(root: Path, commits: int) -> None:
    """Let the log's files have the age that they would have after so many commits."""
    now = time.time()
    for path in (root / "_delta_log").iterdir():
        if path.name[:20].isdigit():
            at = now - max(0, commits - int(path.name[:20])) * COMMITTED_EVERY_S
            os.utime(path, (at, at))
