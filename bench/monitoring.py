"""What it costs to monitor a day of a million predictions, and whether the 300th day costs what the first did.

A home has a day of predictions and labels that no windows were computed of; a process of its own updates the windows and asks all
checks. Then days of fewer rows are logged one after the other, with their windows and the upkeep of tables: all that a day
leaves behind. Copies of the home as it was before the first and before the last of them are monitored in turn, round after round,
so that a machine that is slow for a while is so for both.
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
    """Medians over the rounds. `ratio` is that of the seconds to those of the first day, within each round."""

    what: str
    rows: int
    update_s: float
    checks_s: float
    memory_mb: float
    ratio: float | None
    rounds: list[Monitored]

    def cells(self) -> dict[str, str]:
        """Seconds, memory, and the ratio."""
        return {
            "what": self.what,
            "rows": f"{self.rows:,}",
            "update s": f"{self.update_s:.2f}",
            "checks s": f"{self.checks_s:.2f}",
            "memory MB": f"{self.memory_mb:,.0f}",
            "of the first": "" if self.ratio is None else f"{self.ratio:.2f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Monitor the large day, then the first and the last of the small ones, in turn."""
    rows, last = (ROWS, LAST) if seconds >= FULL_SECONDS else (QUICK_ROWS, QUICK_LAST)
    home = Home.at(folder / "home")
    days = Days(home, release_flights(home))
    say("logging days")
    days.log(0, ROWS_OF_A_DAY)
    monitor(home, _end(0))  # the package's holdout is looked at once
    shutil.copytree(home.root, folder / "large")
    Days(Home.at(folder / "large"), days.package_digest, days.logged).log(1, rows)
    days.log(1, ROWS_OF_A_DAY)
    shutil.copytree(home.root, folder / "first")
    for number in range(2, last + 1):
        update(home)
        days.log(number, ROWS_OF_A_DAY)
        _keep_small(home, _end(number))
        if number % max(1, last // 10) == 0:
            say(f"{number} days")
    found: dict[str, list[Monitored]] = {"a large day": [], "the first day": [], f"day {last}": []}
    places = {"a large day": ("large", 1), "the first day": ("first", 1), f"day {last}": ("home", last)}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, (place, day) in places.items():
            found[name].append(_monitored(folder / place, folder / "copy", day))
    first = [one.seconds for one in found["the first day"]]
    lines = [_line(name, measured, first if name == f"day {last}" else None) for name, measured in found.items()]
    setup = f"days of {ROWS_OF_A_DAY:,} rows, {rounds} interleaved rounds, medians; windows updated, all checks asked"
    return report("monitoring", setup, lines, LIBRARIES)


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


def _line(what: str, measured: list[Monitored], first: list[float] | None) -> Monitoring:
    return Monitoring(
        what=what,
        rows=measured[0].rows,
        update_s=median(one.update_s for one in measured),
        checks_s=median(sum(one.checks_s.values()) for one in measured),
        memory_mb=median(one.memory_mb for one in measured),
        ratio=None if first is None else median(one.seconds / before for one, before in zip(measured, first, strict=True)),
        rounds=measured,
    )
