"""The shipper: moves closed segments of every slot of this machine into the Delta tables, each record exactly once.

A record's place (slot and sequence number) is its identity. A table keeps, for each slot, the highest sequence number
that it holds, in the same commit as the rows; so a batch that is shipped again after a crash adds nothing. A segment is
removed only when the rows of every table are known to be on disk.
"""

import fcntl
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import polars as pl
import structlog

from lake.bucket import is_bucket
from lake.delta import Table
from lake.delta_recovery import recover_tables
from lake.documents import DocumentStore, sync_folder, write_file
from lake.errors import SettingError, TrainServeError
from lake.failpoints import reach
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.log.backlog import set_aside_folder
from lake.log.batch import Batch, BatchReader, Bound, Damage, closed_part
from lake.log.segment import segments
from lake.log.shipper_metrics import ShipperMetrics
from lake.log.slot import Slot, slots, spool_id
from lake.parameters.table import ParametersTable
from lake.tables import COMMITS, PREDICTIONS

log = structlog.get_logger(__name__)

PARTITIONS = {PREDICTIONS: ["event_date"], COMMITS: ["commit_date"]}
_SEGMENT_AGE_S = 1.0  # how long a worker may keep a record in an open segment
_SHARE_OF_FRESHNESS = 0.8  # the rest is for a machine that is busy
_SHORTEST_LOOK_S, _LOOK_S = 0.02, 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How far behind its tables may be, and how much goes into one commit.

    `freshness_s` counts from the arrival of a record, and so has the second in which its segment may stay open. A commit
    has no more rows and bytes of the spool than these, but for a segment that alone has more.
    """

    freshness_s: float = 5.0
    rows_by_commit: int = 100_000
    bytes_by_commit: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.freshness_s < 0:
            raise SettingError("freshness_s", self.freshness_s, "seconds, at least 0")
        for name in ("rows_by_commit", "bytes_by_commit"):
            if getattr(self, name) < 1:
                raise SettingError(name, getattr(self, name), "at least 1")

    @property
    def bound(self) -> Bound:
        """What one batch may hold."""
        return Bound(rows=self.rows_by_commit, bytes=self.bytes_by_commit)

    def pause_s(self, round_s: float) -> float:
        """How long after the begin of a round the next is due; it may then take twice as long as the last."""
        return max(0.0, _SHARE_OF_FRESHNESS * self.freshness_s - _SEGMENT_AGE_S - 2 * round_s)


class _Patience(msgspec.Struct):
    """When a slot that could not be shipped is tried again, by `time.monotonic`."""

    until: float = 0.0
    pause_s: float = 0.0

    def lose(self) -> float:
        """Wait longer than the last time; returns the seconds. Others that failed with it come at other moments."""
        self.pause_s = min(max(2 * self.pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self.until = time.monotonic() + random.uniform(0.5, 1.0) * self.pause_s  # noqa: S311 - who collided is to part
        return self.pause_s


_Failure = tuple[Path, TrainServeError | OSError]


class Shipper:
    """Ships what is closed: a batch of each slot in turn, until no slot has more."""

    def __init__(self, home: Home, pace: Pace | None = None, metrics: ShipperMetrics | None = None) -> None:
        self._home = home
        self._pace = pace or Pace()
        self._metrics = metrics or ShipperMetrics(home)
        self._store = DocumentStore(home.lake, make=False)
        self._patience: dict[Path, _Patience] = {}
        self._recovered = is_bucket(home.lake)
        self._parameters = ParametersTable(home.lake)

    def run(self, stopped: threading.Event) -> None:
        """Ship until stopped, then once more: often enough for the freshness, and sooner where a commit is full.

        A slot that cannot be shipped is tried again, with growing pauses, and holds up no other. What cannot be shipped
        at the end stays in the spools, for the next shipper.
        """
        due = 0.0
        while not stopped.is_set():
            began = time.monotonic()
            willing = [folder for folder in slots(self._home.spools) if self._is_willing(folder, began)]
            if began >= due or any(closed_part(folder, self._pace.bound)[1] for folder in willing):
                _, failures = self._round(willing, stopped)
                for folder, failure in failures:
                    pause_s = self._patience.setdefault(folder, _Patience()).lose()
                    log.warning("not shipped, will try again", slot=folder.name, error=str(failure), pause_s=pause_s)
                self._log_parameters()
                due = began + self._pace.pause_s(time.monotonic() - began)
            stopped.wait(min(_LOOK_S, max(_SHORTEST_LOOK_S, due - time.monotonic())))
        for folder, failure in self._round(slots(self._home.spools))[1]:
            log.warning("not shipped, stays in the spool for the next shipper", slot=folder.name, error=str(failure))

    def ship(self) -> int:
        """Ship every closed segment; returns the rows that were new to their tables.

        A slot that cannot be shipped does not stop the others: its error is raised after them.
        """
        shipped, failures = self._round(slots(self._home.spools))
        if failures:
            raise failures[0][1]
        return shipped

    def _log_parameters(self) -> None:
        """Bring the table of parameters up to date; what keeps it from that holds up no row of the log."""
        try:
            self._parameters.update()
        except (TrainServeError, OSError) as error:
            log.warning("table of parameters not brought up to date, will try again", error=str(error))

    def _is_willing(self, folder: Path, now: float) -> bool:
        patience = self._patience.get(folder)
        return patience is None or patience.until <= now

    def _round(self, folders: list[Path], stopped: threading.Event | None = None) -> tuple[int, list[_Failure]]:
        shipped = 0
        failures: list[_Failure] = []
        for folder in folders:
            _adopt(folder)
        while folders and not (stopped and stopped.is_set()):
            unfinished = []
            for folder in folders:
                try:
                    rows = self._turn(folder)
                except (TrainServeError, OSError) as failure:
                    failures.append((folder, failure))
                    self._metrics.failures.labels(folder.name).inc()
                    continue
                self._patience.pop(folder, None)
                if rows is not None:
                    shipped += rows
                    unfinished.append(folder)
            folders = unfinished
        self._metrics.last_round.set_to_current_time()
        return shipped, failures

    def _turn(self, folder: Path) -> int | None:
        """Ship one batch of a slot; returns its new rows, or None where there is nothing to ship, or another ships it."""
        if not self._recovered:
            recover_tables(self._home.root, Path(self._home.lake))
            self._recovered = True
        with _leased(folder) as is_ours:
            if not is_ours:
                return None
            paths, _ = closed_part(folder, self._pace.bound)
            identity = spool_id(folder)
            if not paths or identity is None:
                return None
            batch = BatchReader(identity, partial(read_input_schema, self._store)).read(paths)
            reach("batch read")
            for damage in batch.damages:
                self._set_aside(damage)
            shipped = self._append(batch, identity)
            reach("batch synced")
            for path in batch.paths:
                path.unlink(missing_ok=True)
                reach("segment removed")
            reach("segments removed")
            sync_folder(folder)
            return shipped

    def _append(self, batch: Batch, spool: str) -> int:
        shipped = 0
        for (use_case, name), frames in batch.frames.items():
            frame = pl.concat(frames)
            rows = Table(self._home.lake, use_case, name).append_once(frame, spool, PARTITIONS.get(name))
            reach("table synced")
            known = frame.height - rows
            log.info("shipped", table=f"{use_case}/{name}", rows=rows, known=known)
            self._metrics.rows.labels(use_case, name).inc(rows)
            self._metrics.known_rows.labels(use_case, name).inc(known)
            self._metrics.commits.labels(use_case, name).inc(rows > 0)
            shipped += rows
        return shipped

    def _set_aside(self, damage: Damage) -> None:
        """Keep the bytes of records that cannot be read; they never stop the rest."""
        aside = set_aside_folder(self._home) / f"{damage.path.parent.name}-{damage.path.name}"
        kept = b"".join([*damage.records, damage.path.read_bytes()[damage.length :]])
        if aside.exists() and aside.read_bytes() == kept:
            return  # by an earlier try to ship this batch
        write_file(aside, kept)
        self._metrics.set_aside_records.inc(len(damage.records))
        log.error(
            "unreadable records set aside",
            segment=str(damage.path),
            records=len(damage.records),
            torn_bytes=damage.torn_bytes,
            kept=str(aside),
        )


def _adopt(folder: Path) -> None:
    """Close the last segment of a slot that nobody holds any more, so that it may be taken."""
    try:
        if not any(path.stat().st_size for path in segments(folder)[-1:]):
            return
        abandoned = Slot.take(folder)
        if abandoned is not None:
            abandoned.close()
    except (TrainServeError, OSError) as error:  # as on a full disk: what is closed already is shipped, which makes room
        log.warning("an abandoned slot could not be taken", slot=folder.name, error=str(error))


@contextmanager
def _leased(folder: Path) -> Iterator[bool]:
    """Whether no other shipper has this slot in hand; until left, none can take it. It spares work: no row depends on it."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)
