"""`python -m tests.replay`: lives through July to December of the flights, twice, then through each fault; keeps what came of it.

All that was found goes into `monitoring.json` of the home, and the tables made of it into docs/monitoring.md. It ends with 1 when
something that must be shown did not show. With `--table` it makes the tables anew from what is in that file.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import msgspec
from rich.console import Console

from lake.home import Home
from tests.replay.alerts import DAILY, TRAFFIC
from tests.replay.champion import Champion, release_champion, train_package
from tests.replay.days import Morning, Replay
from tests.replay.faults import COLUMN_FAULTS, TRAFFIC_FAULTS, Fault, Search, swapped
from tests.replay.report import Replayed, Report, markdown, shown

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
BEGIN, END = "<!-- replay: made by `make monitoring-table` -->", "<!-- end of replay -->"
MAY, JUNE = date(2013, 6, 1), date(2013, 6, 30)
FIRST, UNTIL = date(2013, 7, 1), date(2014, 1, 1)
# A Wednesday in summer, a Thursday, a Tuesday, a Saturday: faults begin on them.
FAULTY_DAYS = (date(2013, 8, 14), date(2013, 9, 19), date(2013, 10, 22), date(2013, 11, 16))


def replay(root: Path, trained_until: date, console: Console, names: Sequence[str]) -> tuple[Replayed, Champion, list[Morning]]:
    """One champion's half year, as these checks see it; the champion, and its mornings on which faults begin."""
    champion = release_champion(root / "home", trained_until, FIRST)
    lived = Replay(champion, FIRST, UNTIL)
    with console.status(f"trained until {trained_until}") as status:
        lived.run(root, FAULTY_DAYS, names, lambda now: status.update(f"trained until {trained_until}: {now:%-d %B}"))
    found = Replayed(trained_until=trained_until, first=FIRST, until=UNTIL, alerts=tuple(lived.book.alerts))
    return found, champion, lived.mornings


def faults(champion: Champion) -> list[Fault]:
    """All of them; in the champion's place answers the model that it was preferred to."""
    other = train_package(champion.lake, champion.use_case, "logistic_regression").load().engine
    return [*TRAFFIC_FAULTS, *COLUMN_FAULTS, swapped("another model answers under the champion's digest", other)]


def measure(console: Console) -> Report:
    """Live through everything. Both champions are asked the same, so traffic is looked at once, and counted for both."""
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        june, champion, mornings = replay(Path(folder) / "june", JUNE, console, (*DAILY, *TRAFFIC))
        may, _, _ = replay(Path(folder) / "may", MAY, console, DAILY)
        found = []
        for one in Search(champion, june.alerts).run(mornings, faults(champion)):
            console.print(f"{one.fault}, {one.began:%Y-%m-%d %H:%M}: {one.minutes} minutes, {', '.join(one.checks)}")
            found.append(one)
    return Report(replays=(june, may.with_alerts(june.of(*TRAFFIC))), faults=tuple(found))


def write_page(report: Report, page: Path = PAGE) -> None:
    """Put the tables between their marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{markdown(report)}\n{END}{after}")


def main() -> int:
    """Measure, or read what was measured; write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("--table", action="store_true", help="make the tables from monitoring.json")
    chosen = parser.parse_args()
    console = Console()
    file = Home.from_environment().root / "monitoring.json"
    if not chosen.table:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(measure(console)), indent=1))
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    write_page(report)
    for one in shown(report):
        console.print(f"{'[green]yes' if one.holds else '[bold red]NO '}[/] {one.what}: {one.seen}", highlight=False)
    return 0 if all(one.holds for one in shown(report)) else 1


if __name__ == "__main__":
    sys.exit(main())
