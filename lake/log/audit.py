"""The audit of the log: every row of the tables against the commits that sealed the records.

Whoever can write to the lake, but holds no key of a log, can edit, remove or invent no row that this does not name. The
commits are read first and then the rows, at one version each, so that it runs beside shippers. A slot's newest commit is
kept in the home, outside the lake: one that is cut off behind it is missed by the next audit, on this machine.
"""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import msgspec
import polars as pl

from lake.bucket import in_one_line
from lake.decoder import epoch_us
from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import Unavailable
from lake.home import Home, now_us
from lake.log.chain import ChainHead, read_chain
from lake.log.commits import NOWHERE
from lake.log.erasures import ErasedRecord, read_erasures
from lake.log.log_key import LogKeys, read_trusted_log
from lake.log.merkle import leaf_of
from lake.log.record_rows import encoded_rows
from lake.log.retirement import read_retirements
from lake.log.sealed import SealedRecord, SealedSlot, Stretch
from lake.log.segment import closed_segments, first_seq, segments
from lake.log.slot import slots, spool_id
from lake.log.unreadable import UNREADABLE, PinnedTable
from lake.release.heads import Head, keep_head, read_head
from lake.tables import COMMITS, LABELS, LOG, MAINTENANCE, PREDICTIONS
from lake.times import rfc3339

# A commit is in the lake before its rows, by less than that.
_SHIPPED_WITHIN_US = 600_000_000


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What is audited: all, or some use cases, or commits of some days in UTC, both included."""

    use_cases: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    @property
    def whole(self) -> bool:
        """Whether no day is left out."""
        return self.since is None and self.until is None

    def commits(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The commits of these days."""
        if self.since is not None:
            rows = rows.filter(pl.col("commit_date") >= self.since)
        return rows if self.until is None else rows.filter(pl.col("commit_date") <= self.until)


class Counts(msgspec.Struct, kw_only=True):
    """What an audit has seen. Records that have no row for a known reason are counted by it."""

    slots: int = 0
    commits: int = 0
    rows: int = 0
    waiting: int = 0
    erased: int = 0
    retired: int = 0
    set_aside: int = 0
    left_by_crash: int = 0


class _LoggedTable:
    """One table of rows, at one version."""

    def __init__(self, lake: str, use_case: str, name: str, keys: LogKeys) -> None:
        self.pinned = PinnedTable(lake, Table(lake, use_case, name))
        self.use_case = use_case
        self.name = name
        self.rows = self.pinned.rows
        self._retired_before_us = 0
        self._said: list[tuple[int, str]] = []  # up to when rows are said to be retired by what does not prove it, and why not
        for one in read_retirements(Table(lake, use_case, MAINTENANCE), name):
            before_us = epoch_us(one.reaches_utc)
            problem = one.problem(keys)
            if problem is None:
                self._retired_before_us = before_us
                break  # those that follow reach less far
            self._said.append((before_us, problem))

    def has_shipped(self, spool: str, seq: int) -> bool:
        """Whether this record's row was ever appended: each append tells the highest number of a slot."""
        high = self.pinned.handle.transaction_version(spool)
        return high is not None and seq <= high

    def is_retired(self, record: SealedRecord) -> bool:
        """Whether the row may have been deleted for its age."""
        return record.committed_at_us < self._retired_before_us

    def unproven(self, record: SealedRecord) -> str:
        """What is to be said of a retirement that would explain why the row is gone, if it were proven."""
        said = (problem for before_us, problem in self._said if record.committed_at_us < before_us)
        return next((f": it is said to be retired, but {problem}" for problem in said), "")


class Audit:
    """One audit of a lake; `counts` is filled while the findings are read."""

    def __init__(self, home: Home, scope: Scope) -> None:
        self.counts = Counts()
        self._home = home
        self._scope = scope
        self._keys: LogKeys = read_trusted_log(home.keys)
        self._local = {identity: folder for folder in slots(home.spools) if (identity := spool_id(folder)) is not None}
        self._shipped = {identity: _shipped_head(folder) for identity, folder in self._local.items()}
        commits = Table(home.lake, LOG, COMMITS)
        self._commits = PinnedTable(home.lake, commits) if commits.exists() else None
        self._tables = [_LoggedTable(home.lake, *place, self._keys) for place in _places(home.lake, scope)]

    def findings(self) -> Iterator[str]:
        """What does not hold, each in a sentence that names it. Files that cannot be read are named, and end it."""
        try:
            yield from self._findings()
        except UNREADABLE as error:
            commits = [] if self._commits is None else [self._commits]
            named = [one for pinned in (*commits, *(table.pinned for table in self._tables)) for one in pinned.unreadable()]
            if not named:
                raise Unavailable("the log", in_one_line(error)) from error
            yield from named
            yield "what stands behind that was not looked at: verify again once every file can be read"

    def _findings(self) -> Iterator[str]:
        known = []
        if self._commits is not None:
            rows = self._scope.commits(self._commits.rows)
            known = rows.select("spool_id").unique().sort("spool_id").collect()["spool_id"].to_list()
            nameless = rows.filter(pl.col("number").is_null() | (pl.col("number") < 1)).select(pl.len()).collect().item()
            if nameless or None in known:
                yield "the table of commits has rows without a number or a slot"
            for name in filter(None, known):
                yield from self._slot(SealedSlot(rows, name, self._keys, whole=self._scope.whole))
        if self._scope.whole:
            yield from self._foreign(known)
            yield from self._lost(known)

    def _slot(self, slot: SealedSlot) -> Iterator[str]:
        sound = True
        end = 0
        for stretch in slot.walk():
            yield from stretch.problems
            sound = sound and not stretch.problems
            yield from self._compare(slot.spool_id, stretch)
            end = stretch.end
        self.counts.slots += 1
        self.counts.commits += slot.commits
        if self._scope.whole:
            yield from self._behind(slot.spool_id, end)
            yield from self._cut(slot, sound=sound)

    def _compare(self, spool: str, stretch: Stretch) -> Iterator[str]:
        """The rows of a stretch, and the records in it that have none."""
        held: set[int] = set()  # by a row that is as it was logged
        edited: set[int] = set()
        here = (pl.col("spool_id") == spool) & pl.col("seq").is_between(stretch.begin, stretch.end - 1)
        for table in self._tables:
            rows = table.rows.filter(here).collect()
            for row, encoded in zip(_named(rows), encoded_rows(rows, table.name, table.use_case), strict=True):
                seq = row[0]
                sealed = stretch.records.get(seq)
                what = f"{table.use_case}/{table.name}: the row of {_request(row)} (record {seq} of slot {spool[:8]})"
                if sealed is None:
                    if not any(seq in unknown for unknown in stretch.unknown):
                        yield f"{what} was invented: no commit seals such a record"
                elif sealed.leaf != leaf_of(encoded):
                    yield f"{what} was edited: it is not what commit {sealed.commit} seals"
                    edited.add(seq)
                elif seq in held:
                    yield f"{what} was invented: the record is there twice"
                else:
                    held.add(seq)
        self.counts.rows += len(held)
        there = held | edited
        yield from self._missing(spool, {seq: one for seq, one in stretch.records.items() if seq not in there})

    def _missing(self, spool: str, records: dict[int, SealedRecord]) -> Iterator[str]:
        tables = {(table.use_case, table.name): table for table in self._tables}
        erased = self._erased(spool, records)
        for seq, record in records.items():
            place = record.use_case, record.table
            table = tables.get(place)
            if self._scope.use_cases and record.use_case not in self._scope.use_cases:
                continue
            what = f"{record.use_case}/{record.table}: record {seq} of slot {spool[:8]}"
            when = rfc3339(datetime.fromtimestamp(record.committed_at_us / 1_000_000).astimezone())
            if place == NOWHERE:
                self.counts.set_aside += 1
            elif (audit_row := erased.get(seq)) is not None and audit_row.leaf == record.leaf:
                if problem := audit_row.problem(self._keys):
                    yield f"{what}, which commit {record.commit} sealed at {when}, is said to be erased, but {problem}"
                else:
                    self.counts.erased += 1
            elif table is not None and table.is_retired(record):
                self.counts.retired += 1
            elif table is not None and table.has_shipped(spool, seq):
                yield f"{what}, which commit {record.commit} sealed at {when}, was removed{table.unproven(record)}"
            elif now_us() - record.committed_at_us > _SHIPPED_WITHIN_US:
                yield f"{what}, which commit {record.commit} sealed at {when}, is not there: removed, or its shipper stands"
            else:
                self.counts.waiting += 1

    def _erased(self, spool: str, records: dict[int, SealedRecord]) -> dict[int, ErasedRecord]:
        """The audit rows of those of these records whose rows were erased on purpose."""
        found: dict[int, ErasedRecord] = {}
        for use_case in {record.use_case for record in records.values()} - {""}:
            here = (pl.col("spool_id") == spool) & pl.col("seq").is_between(min(records), max(records))
            for one in read_erasures(self._home.lake, use_case, here):
                if one.seq not in found or found[one.seq].problem(self._keys):
                    found[one.seq] = one
        return found

    def _behind(self, spool: str, end: int) -> Iterator[str]:
        """The rows behind the newest commit: those that a crash left, and the slot's next life seals, or invented ones."""
        left = self._left_by_crash(spool)
        for table in self._tables:
            rows = table.rows.filter((pl.col("spool_id") == spool) & (pl.col("seq") >= end)).collect()
            for row, encoded in zip(_named(rows), encoded_rows(rows, table.name, table.use_case), strict=True):
                if left.get(row[0]) == leaf_of(encoded):
                    self.counts.left_by_crash += 1
                else:
                    what = f"{table.use_case}/{table.name}: the row of {_request(row)} (record {row[0]} of slot {spool[:8]})"
                    yield f"{what} was invented: no commit seals such a record"

    def _left_by_crash(self, spool: str) -> dict[int, bytes]:
        folder = self._local.get(spool)
        head = ChainHead() if folder is None else read_chain(folder)
        first = head.last_seq + 1 - len(head.unsealed)
        return {seq: bytes.fromhex(one.leaf) for seq, one in enumerate(head.unsealed, start=first)}

    def _foreign(self, known: list[str]) -> Iterator[str]:
        """Rows of slots that have no commits, and rows without a number."""
        foreign = ~pl.col("spool_id").is_in(known, nulls_equal=True)
        for table in self._tables:
            what = f"{table.use_case}/{table.name}"
            rows = table.rows.filter(foreign | pl.col("seq").is_null())
            for spool, numberless, count in (
                rows.group_by("spool_id", pl.col("seq").is_null()).len().sort("spool_id", "seq").collect().iter_rows()
            ):
                if numberless:
                    yield f"{what}: {count} rows of slot {spool} were invented: they have no number"
                elif not self._left_by_crash(spool or ""):
                    yield f"{what}: {count} rows of slot {spool} were invented: it has no commits"
        for spool in sorted(set(self._local) - set(known)):
            if self._left_by_crash(spool):
                yield from self._behind(spool, 0)

    def _cut(self, slot: SealedSlot, *, sound: bool) -> Iterator[str]:
        """Whether commits are gone that were seen before, or that this machine has shipped."""
        path = self._head_path(slot.spool_id)
        seen, newest = read_head(path), slot.newest
        shipped = self._shipped.get(slot.spool_id, ChainHead())
        wanted = max(seen.seq, shipped.number)
        found = 0 if newest is None else newest.number
        if found < wanted:
            yield f"slot {slot.spool_id[:8]} ends with commit {found}, but commit {wanted} of it is known here: it was cut"
        elif sound and newest is not None:
            keep_head(path, Head(seq=newest.number, digest=newest.digest))

    def _lost(self, known: list[str]) -> Iterator[str]:
        """Slots that were seen before, or are this machine's own, and of which the lake has no commit any more."""
        seen = {path.stem for path in self._head_path("").parent.glob("*.json")}
        shipped = {identity for identity, head in self._shipped.items() if head.number}
        for spool in sorted((seen | shipped) - set(known)):
            yield f"slot {spool[:8]} has no commits in the lake, but some of it are known here: it was cut"

    def _head_path(self, spool: str) -> Path:
        return self._home.heads / LOG / f"{spool}.json"


def _places(lake: str, scope: Scope) -> list[tuple[str, str]]:
    """The tables of the log that there are."""
    use_cases = scope.use_cases or DocumentStore(lake, make=False).folders()
    return [(use_case, name) for use_case in use_cases for name in (PREDICTIONS, LABELS) if Table(lake, use_case, name).exists()]


def _shipped_head(folder: Path) -> ChainHead:
    """The newest commit of a slot that must be in the lake: the last one closed, if no closed segment waits any more."""
    head = read_chain(folder)
    waits = any(path.stat().st_size for path in closed_segments(folder))
    is_closed = all(first_seq(path) > head.last_seq for path in segments(folder)[-1:])
    return head if is_closed and not waits else ChainHead()


def _named(rows: pl.DataFrame) -> Iterator[tuple[int, str | None, int | None]]:
    yield from rows.select("seq", "request_id", "row").iter_rows()


def _request(row: tuple[int, str | None, int | None]) -> str:
    return f"request {row[1]}, row {row[2]}" if row[1] is not None else "an entity"
