"""A batch: some closed segments of one slot, as frames for the tables that their records belong to.

It is bounded by rows and by bytes, whatever the backlog, and so is the memory that it takes.
"""

import gc
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import compress
from pathlib import Path

import msgspec
import polars as pl

from lake.input_schema import InputSchema
from lake.log.columns import Columns, Commits, Kind, Unreadable, kind_of
from lake.log.segment import closed_segments, first_seq, read_segment, segments
from lake.tables import COMMITS

# Records of a kind that become one frame, in one piece, or more of them: many small pieces are slower to write.
_AT_LEAST_BY_FRAME = 16_384


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """How much a batch may hold. It has one segment at the least, and no segment is divided."""

    rows: int
    bytes: int


class Damage(msgspec.Struct):
    """What of a segment cannot be read: the bytes of some records, and those of its torn tail."""

    path: Path
    records: list[bytes]
    torn_bytes: int
    length: int


class Batch(msgspec.Struct):
    """Closed segments of one slot, and their rows by use case and table.

    The commits stand first: who reads them, and then the rows, misses none.
    """

    paths: list[Path]
    frames: dict[tuple[str, str], list[pl.DataFrame]]
    damages: list[Damage]


class _Group:
    """Records of one kind, which wait to become a frame."""

    def __init__(self, kind: Kind, columns: Columns | Commits) -> None:
        self.kind = kind
        self.columns = columns
        self.records: list[bytes] = []
        self.seqs: list[int] = []


def closed_part(folder: Path, bound: Bound) -> tuple[list[Path], bool]:
    """The oldest closed segments of a slot that a batch takes, and whether they fill it."""
    taken: list[Path] = []
    size = 0
    for path in closed_segments(folder):
        if taken and first_seq(path) - first_seq(taken[0]) >= bound.rows:
            return taken, True
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            continue  # another shipper was faster
        taken.append(path)
        if size >= bound.bytes:
            return taken, True
    rows = first_seq(segments(folder)[-1]) - first_seq(taken[0]) if taken else 0
    return taken, rows >= bound.rows


class BatchReader:
    """Reads the segments of one slot, whose identity is `spool_id`; `schema_of` gives the input schema of a use case."""

    def __init__(self, spool_id: str, schema_of: Callable[[str], InputSchema]) -> None:
        self._spool_id = spool_id
        self._schema_of = cache(schema_of)  # a schema that grows meanwhile would give the rows of one table two types
        self._groups: list[_Group] = []
        self._frames: dict[tuple[str, str], list[pl.DataFrame]] = {}
        self._damages: list[Damage] = []

    def read(self, paths: list[Path]) -> Batch:
        """The rows of these segments, oldest first. Raises NotFound for a use case that has published no input schema."""
        with _collector_off():
            for path in paths:
                self._take(path)
            for group in self._groups:
                self._decode(group)
        ordered = sorted(self._frames.items(), key=lambda item: item[0][1] != COMMITS)
        damaged = [damage for damage in self._damages if damage.records or damage.torn_bytes]
        return Batch(paths, dict(ordered), damaged)

    def _take(self, path: Path) -> None:
        contents = read_segment(path)
        damage = Damage(path, list(contents.damaged), contents.torn_bytes, contents.length)
        self._damages.append(damage)
        seqs = [seq for seq, record in enumerate(contents.records, start=first_seq(path)) if record is not None]
        records = [record for record in contents.records if record is not None]
        for group in self._groups:
            of_it = [record.startswith(group.kind.beginning) for record in records]
            group.records += compress(records, of_it)
            group.seqs += compress(seqs, of_it)
            others = [not own for own in of_it]
            records, seqs = [*compress(records, others)], [*compress(seqs, others)]
        for seq, record in zip(seqs, records, strict=True):  # of a kind that is new here, or of none
            try:
                group = self._group_of(record)
            except Unreadable:
                damage.records.append(record)
                continue
            group.records.append(record)
            group.seqs.append(seq)
        for group in self._groups:
            if len(group.seqs) >= _AT_LEAST_BY_FRAME:
                self._decode(group)

    def _group_of(self, record: bytes) -> _Group:
        for group in self._groups:
            if record.startswith(group.kind.beginning):
                return group
        kind = kind_of(record)
        group = _Group(kind, Commits() if kind.table == COMMITS else Columns(kind, self._schema_of(kind.use_case)))
        self._groups.append(group)
        return group

    def _decode(self, group: _Group) -> None:
        if not group.records:
            return
        frame, unreadable = group.columns.frame(group.records, group.seqs, self._spool_id)
        if frame.height:
            self._frames.setdefault((group.kind.use_case, group.kind.table), []).append(frame)
        for seq in unreadable:
            damage = self._damages[bisect_right(self._damages, seq, key=lambda damage: first_seq(damage.path)) - 1]
            damage.records.append(group.records[group.seqs.index(seq)])
        group.records, group.seqs = [], []


@contextmanager
def _collector_off() -> Iterator[None]:
    """Nothing here refers to itself; the collector of cycles would walk all tuples of a batch again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
