"""What it costs to monitor a day of a million predictions, and whether the 300th day costs what the first did.

A home has a day of predictions and labels that no windows were computed of; a process of its own updates the windows and asks all
checks. Then days of fewer rows are logged one after the other, with their windows and the upkeep of tables: all that a day
leaves behind. Copies of the home as it was with the first and with the last of them, each also with so large a day in its place,
are monitored in turn, round after round, so that a machine that is slow for a while is so for all.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median

import msgspec

from bench.figures import Line, Report, report
from bench.load import FULL_SECONDS
from bench.logged_days import FIRST_DAY, Days
from bench.monitored import Monitored, monitor, update
from bench.released import USE_CASE, release_flights
from lake.delta import Table
from lake.home import Home
from lake.log.maintenance import Upkeep, maintain
from lake.tables import LABELS, PREDICTIONS, WINDOWS

ROWS, QUICK_ROWS = 1_000_000, 50_000
ROWS_OF_A_DAY = 5_000
LAST, QUICK_LAST = 300, 10
LIBRARIES = ("polars", "deltalake", "numpy")


class Monitoring(Line, frozen=True, kw_only=True):
    """Medians over the rounds. Ratios are those to the first day, within each round: of the seconds, and of processor time."""

    what: str
    rows: int
    update_s: float
    checks_s: float
    processor_s: float
    memory_mb: float
    ratio: float | None
    processor_ratio: float | None
    rounds: list[Monitored]

    def cells(self) -> dict[str, str]:
        """Seconds, memory, and the ratio."""
        return {
            "what": self.what,
            "rows": f"{self.rows:,}",
            "update s": f"{self.update_s:.2f}",
            "checks s": f"{self.checks_s:.2f}",
            "processor s": f"{self.processor_s:.2f}",
            "memory MB": f"{self.memory_mb:,.0f}",
            "of the first": "" if self.ratio is None else f"{self.ratio:.2f}",
            "processor time": "" if self.processor_ratio is None else f"{self.processor_ratio:.2f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Monitor the first and the last day, each large and small, in turn."""
    rows, last = (ROWS, LAST) if seconds >= FULL_SECONDS else (QUICK_ROWS, QUICK_LAST)
    home = Home.at(folder / "home")
    days = Days(home, release_flights(home))
    say("logging days")
    days.log(0, ROWS_OF_A_DAY)
    monitor(home, _end(0))  # the package's holdout is looked at once
    for number in range(1, last + 1):
        if number in (1, last):
            _log_beside(days, home, folder / f"large {number}", number, rows)
        days.log(number, ROWS_OF_A_DAY)
        if number in (1, last):
            shutil.copytree(home.root, folder / f"small {number}")
        update(home)
        _keep_small(home, _end(number))
        if number % max(1, last // 10) == 0:
            say(f"{number} days")
    places = {
        "a large day": ("large", 1),
        f"the same, day {last}": ("large", last),
        "the first day": ("small", 1),
        f"day {last}": ("small", last),
    }
    found: dict[str, list[Monitored]] = {name: [] for name in places}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, (size, day) in places.items():
            found[name].append(_monitored(folder / f"{size} {day}", folder / "copy", day))
    lines = []
    for first, later in (("a large day", f"the same, day {last}"), ("the first day", f"day {last}")):
        lines += [_line(first, found[first], None), _line(later, found[later], found[first])]
    setup = f"days of {ROWS_OF_A_DAY:,} rows, {rounds} interleaved rounds, medians; windows updated, all checks asked"
    return report("monitoring", setup, lines, LIBRARIES)


def _log_beside(days: Days, home: Home, copy: Path, number: int, rows: int) -> None:
    """Log a day of other rows in a copy of a home."""
    shutil.copytree(home.root, copy)
    Days(Home.at(copy), days.package_digest, days.logged).log(number, rows)


def _keep_small(home: Home, at: datetime) -> None:
    """What is done to the tables every quarter of an hour."""
    for name in (PREDICTIONS, LABELS, WINDOWS):
        maintain(Table(home.lake, USE_CASE, name), Upkeep(), at, thorough=False)


def _monitored(home: Path, copy: Path, day: int) -> Monitored:
    shutil.copytree(home, copy)
    command = [sys.executable, "-m", "bench.monitored", str(copy), _end(day).isoformat()]
    ended = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    shutil.rmtree(copy)
    return msgspec.json.decode(ended.stdout, type=Monitored)


def _end(day: int) -> datetime:
    """Half a minute after the end of the day of this number: what was asked in it has been shipped."""
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=timezone.utc)
    return midnight + timedelta(days=day + 1, seconds=30)


def _line(what: str, measured: list[Monitored], first: list[Monitored] | None) -> Monitoring:
    pairs = [*zip(measured, first or [], strict=first is not None)]
    return Monitoring(
        what=what,
        rows=measured[0].rows,
        update_s=median(one.update_s for one in measured),
        checks_s=median(sum(one.checks_s.values()) for one in measured),
        processor_s=median(one.processor_s for one in measured),
        memory_mb=median(one.memory_mb for one in measured),
        ratio=median(one.seconds / before.seconds for one, before in pairs) if pairs else None,
        processor_ratio=median(one.processor_s / before.processor_s for one, before in pairs) if pairs else None,
        rounds=measured,
    )
