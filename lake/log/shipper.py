"""The shipper: moves closed segments of every slot of this machine into the Delta tables, each record exactly once.

A record's place (slot and sequence number) is its identity. A table keeps, for each slot, the highest sequence number
that it holds, in the same commit as the rows; so a batch that is shipped again after a crash adds nothing. A segment is
removed only when the rows of every table are known to be on disk.
"""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import polars as pl
import structlog

from lake.delta import Table
from lake.documents import DocumentStore, sync_folder, write_file
from lake.errors import TrainServeError
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.log.commits import CommitRecord, commits_frame
from lake.log.records import PredictionRecord, Record, decode_record, labels_frame, predictions_frame
from lake.log.segment import Contents, closed_segments, first_seq, read_segment, segments
from lake.log.slot import Slot, slots, spool_id
from lake.tables import COMMITS, LABELS, LOG, PREDICTIONS

log = structlog.get_logger(__name__)

PARTITIONS = {PREDICTIONS: ["event_date"], COMMITS: ["commit_date"]}
MAXIMUM_BATCH_BYTES = 64 * 1024 * 1024


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in the spools: closed and open segments together."""

    segments: int
    bytes: int


class Batch(msgspec.Struct):
    """Some closed segments of one slot, and the records in them by use case and table."""

    spool: str
    paths: list[Path]
    records: dict[tuple[str, str], list[tuple[int, Record]]]


class Shipper:
    """Ships what is closed, slot after slot."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._store = DocumentStore(home.lake, make=False)

    def run(self, stopped: threading.Event, interval_s: float = 1.0) -> None:
        """Ship until stopped, then once more. A failure is logged and tried again, with growing pauses."""
        pause_s = interval_s
        while not stopped.wait(pause_s):
            try:
                self.ship()
                pause_s = interval_s
            except (TrainServeError, OSError) as error:
                pause_s = min(pause_s * 2, 30.0)
                log.warning("not shipped, will try again", error=str(error), pause_s=pause_s)
        self.ship()

    def ship(self) -> int:
        """Ship every closed segment once; returns the rows that were new to their tables.

        A slot that cannot be shipped does not stop the others: its error is raised after them.
        """
        shipped = 0
        failures: list[TrainServeError | OSError] = []
        for folder in slots(self._home.spools):
            try:
                shipped += self._ship_slot(folder)
            except (TrainServeError, OSError) as failure:
                failures.append(failure)
        if failures:
            raise failures[0]
        return shipped

    def _ship_slot(self, folder: Path) -> int:
        abandoned = Slot.take(folder)
        if abandoned is not None:
            abandoned.close()  # leasing it closed its last segment: all but the new one may be taken
        shipped = 0
        while (batch := self._batch(folder)) is not None:
            shipped += self._ship(batch)
            for path in batch.paths:
                path.unlink(missing_ok=True)  # another shipper of this home may have been faster
            sync_folder(folder)
        return shipped

    def _batch(self, folder: Path) -> Batch | None:
        identity = spool_id(folder)
        closed = closed_segments(folder)
        if identity is None or not closed:
            return None
        batch = Batch(identity, [], {(LOG, COMMITS): []})  # first: who reads the commits and then the rows misses none
        size = 0
        for path in closed:
            contents = read_segment(path)
            unreadable = list(contents.damaged)
            for seq, encoded in enumerate(contents.records, start=first_seq(path)):
                if encoded is None:
                    continue
                try:
                    record = decode_record(encoded)
                except msgspec.MsgspecError:
                    unreadable.append(encoded)
                else:
                    batch.records.setdefault(_place(record), []).append((seq, record))
            self._set_aside(path, contents, unreadable)
            batch.paths.append(path)
            size += contents.length
            if size >= MAXIMUM_BATCH_BYTES:
                break
        return batch

    def _ship(self, batch: Batch) -> int:
        shipped = 0
        for (use_case, name), numbered in batch.records.items():
            if not numbered:
                continue
            frame = self._frame(use_case, name, numbered, batch.spool)
            rows = Table(self._home.lake, use_case, name).append_once(frame, batch.spool, PARTITIONS.get(name))
            log.info("shipped", table=f"{use_case}/{name}", rows=rows, known=len(numbered) - rows)
            shipped += rows
        return shipped

    def _frame(self, use_case: str, name: str, numbered: list[tuple[int, Record]], spool: str) -> pl.DataFrame:
        seqs, records = zip(*numbered, strict=True)
        if name == COMMITS:
            return commits_frame(records, seqs)
        make: Callable[..., pl.DataFrame] = predictions_frame if name == PREDICTIONS else labels_frame
        return make(records, spool, seqs, read_input_schema(self._store, use_case))

    def _set_aside(self, path: Path, contents: Contents, unreadable: list[bytes]) -> None:
        """Keep the bytes of records that cannot be read; they never stop the rest."""
        if not unreadable and not contents.torn_bytes:
            return
        aside = self._home.root / "set_aside" / f"{path.parent.name}-{path.name}"
        write_file(aside, b"".join([*unreadable, path.read_bytes()[contents.length :]]))
        log.error(
            "unreadable records set aside",
            segment=str(path),
            records=len(unreadable),
            torn_bytes=contents.torn_bytes,
            kept=str(aside),
        )


def backlog(home: Home) -> Backlog:
    """What the spools of this machine hold that no table has yet."""
    sizes = []
    for folder in slots(home.spools):
        for path in segments(folder):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue  # shipped between the listing and the look
    return Backlog(segments=sum(size > 0 for size in sizes), bytes=sum(sizes))


def _place(record: Record) -> tuple[str, str]:
    """The use case and the table that a record belongs to."""
    if isinstance(record, CommitRecord):
        return LOG, COMMITS
    return record.use_case, PREDICTIONS if isinstance(record, PredictionRecord) else LABELS
