"""The days of a replay: each is logged, what became known is shipped, the windows are updated, the checks are asked."""

import shutil
from collections.abc import Callable, Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import polars as pl

from lake.tables import LABELS, PREDICTIONS
from tests.replay.alerts import DAILY, TRAFFIC, Book, look
from tests.replay.champion import Champion
from tests.replay.log import Log, midnight, requests
from trainserve_assets.claims.seen import Seen
from trainserve_assets.windows.closed import Closed
from trainserve_assets.windows.update import update_windows

DAYS_BACK = 92
A_DAY = timedelta(days=1)
# The windows are updated and the checks asked so long after a span has ended: what was asked in it has been shipped.
SHIPPED_AFTER = timedelta(seconds=30)
# Traffic is judged by the newest hour; so no two neighbouring spans are never in one look.
LOOKED_EVERY = timedelta(minutes=55)


class Morning(NamedTuple):
    """A copy of the home as it was when a day began, and how many rows of its log were shipped by then."""

    day: date
    root: Path
    shipped: dict[str, int]


def update(champion: Champion) -> None:
    """Bring the windows up to date, as the asset does."""
    rate = champion.use_case.monitoring.drift_false_alarm_rate
    schema, slices = champion.use_case.input_schema, champion.use_case.slices
    update_windows(champion.home.lake, schema, DAYS_BACK, rate, slices, champion.references)


class Replay:
    """The days of one champion; `every` so often the windows are updated, and what is not about traffic is looked at.

    What was answered between two updates is shipped in so many `commits`.
    """

    def __init__(self, champion: Champion, first: date, until: date, every: timedelta = A_DAY, commits: int = 1) -> None:
        self.champion, self._first, self._until, self._every, self._commits = champion, first, until, every, commits
        self._log = Log(champion)
        self._answers = self._log.answers(requests(champion, first, until))
        self._looked_at = midnight(first)
        self.book = Book()
        self.mornings: list[Morning] = []

    def run(
        self,
        copies: Path,
        mornings: Collection[date] = (),
        names: Collection[str] = (*DAILY, *TRAFFIC),
        then: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        """Live through all days; keep copies of the home as it was on these mornings. `then` is called after each update."""
        waiting, end, labelled = self._answers, midnight(self._first), midnight(self._first)
        while end < midnight(self._until):
            if end in {midnight(day) for day in mornings}:
                self._copy(copies, end.date())
            lived, end = end, min(end + self._every, midnight(self._until))
            for commit in range(1, self._commits + 1):
                waiting = self._log.ship(waiting, lived + (end - lived) * commit / self._commits + SHIPPED_AFTER)
            self._log.ship_labels(self._answers, labelled, end)
            labelled = end
            update(self.champion)
            if names:
                self._look(end, names)
            then(end)

    def _look(self, end: datetime, names: Collection[str]) -> None:
        daily, traffic = ([name for name in names if (name in TRAFFIC) is about] for about in (False, True))
        seen = Seen(self.champion.lake, self.champion.use_case, end + SHIPPED_AFTER)
        self.book.note(end, daily, look(seen, daily))
        figures = seen.closed.figures
        while traffic and (now := self._looked_at + LOOKED_EVERY) <= end:
            self._looked_at = seen.now = now
            seen.closed = Closed(figures.filter(pl.col("span_end_utc") <= now), now)
            self.book.note(now, traffic, look(seen, traffic))

    def _copy(self, copies: Path, day: date) -> None:
        root = copies / day.isoformat()
        shutil.copytree(self.champion.home.root, root)
        self.mornings.append(Morning(day, root, {**self._log.shipped}))


def reopened(champion: Champion, morning: Morning, root: Path) -> tuple[Champion, Log]:
    """The champion as it was on that morning, in a fresh copy of its home; and its log."""
    shutil.copytree(morning.root, root)
    moved = champion.moved(root)
    return moved, Log(moved, morning.shipped[PREDICTIONS], morning.shipped[LABELS])
