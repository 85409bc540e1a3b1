"""A slot: one folder of segments, leased by one process at a time through a lock on a file.

Its `spool_id` and its sequence outlive every process. The newest segment is never removed, so its name always tells
where the sequence stands, even when all records have been shipped.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from lake.documents import make_folder, sync_file, sync_folder, write_file
from lake.log.chain import ChainHead, grown, keep_chain, read_chain
from lake.log.durability import Durability
from lake.log.segment import first_seq, joined, read_segment, segment_path, segments

_LOCK = "lock"
_ID = "spool_id"
TORN = ".torn"
_PROBE_BYTES = 4096

log = structlog.get_logger(__name__)


class Slot:
    """A leased slot: appends records, rotates segments. Not for use by two threads at once.

    `size` counts the bytes of the open segment that are acknowledged; what a failed write left behind it is cut off before
    anything else is written. `torn_bytes` were cut off what the last holder left.
    """

    size: int
    next_seq: int
    torn_bytes: int
    chain: ChainHead  # as it stood when the slot was leased
    _file: int
    _clean: bool  # nothing stands behind `size`
    _synced: bool  # all before `size` is on disk
    _named: bool  # the segment's name is on disk

    def __init__(self, folder: Path, lock: int, durability: Durability = "disk") -> None:
        self.folder = folder
        self.durability = durability
        self._lock = lock
        identity = folder / _ID
        if not identity.exists():
            write_file(identity, os.urandom(16).hex().encode())
        self.spool_id = identity.read_text()
        self._recover()

    @classmethod
    def lease(cls, spools: Path, durability: Durability = "disk") -> "Slot":
        """The first slot that nobody holds, made if all are taken. Its records continue where they ended."""
        number = 0
        while (leased := cls.take(spools / f"slot-{number:03}", durability, make=True)) is None:
            number += 1
        return leased

    @classmethod
    def take(cls, folder: Path, durability: Durability = "disk", *, make: bool = False) -> "Slot | None":
        """The slot in a folder, or None while another process holds it."""
        if make:
            make_folder(folder)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(folder, lock, durability)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)  # else this process would hold, for good, a slot that it does not use
            raise

    def append(self, records: list[bytes]) -> None:
        """Write, and wait for what the durability asks. Raises OSError, and then nothing of it stays in the segment."""
        data = joined(records, self.next_seq)
        self._cut_leftovers()
        self._clean = False
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:] if written else data, self.size + written)
            self._synced = False
            if self.durability == "disk":
                self.sync()
        except OSError:
            with contextlib.suppress(OSError):  # tried again before the next write
                self._cut_leftovers()
            raise
        self._clean = True
        self.size += len(data)
        self.next_seq += len(records)

    def sync(self) -> None:
        """Have all on disk that was written, and the segment's name. Nothing to do where it is. Raises OSError."""
        if not self._synced:
            os.fdatasync(self._file)
            if not self._named:
                sync_folder(self.folder)
                self._named = True
            self._synced = True

    def rotate(self) -> None:
        """Close the segment, so that the shipper may take it, and begin the next. Nothing to do while it is empty.

        Raises OSError, and then the segment goes on.
        """
        if self.size == 0:
            return
        self._cut_leftovers()
        self.sync()  # else the table could know numbers that, after a power cut, are given again
        full = self._file
        self._begin()
        os.close(full)

    def probe(self) -> None:
        """Write something and take it back, to learn whether the disk takes writes. Raises OSError."""
        self._cut_leftovers()
        self._clean = False
        try:
            os.pwrite(self._file, bytes(_PROBE_BYTES), self.size)
            os.fdatasync(self._file)
        finally:
            self._cut_leftovers()

    def close(self) -> None:
        """Give the slot back."""
        os.close(self._file)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _recover(self) -> None:
        """Continue after the last whole record; what a crash left half-written behind it is cut off and kept beside."""
        existing = segments(self.folder)
        self.next_seq, self.torn_bytes = 1, 0
        self.chain = read_chain(self.folder)
        if existing:
            newest = existing[-1]
            contents = read_segment(newest)
            self.torn_bytes = contents.torn_bytes
            if contents.torn_bytes:
                log.warning("torn tail cut", segment=str(newest), bytes=contents.torn_bytes)
                with contextlib.suppress(OSError):  # a full disk: it is cut all the same
                    write_file(newest.with_suffix(TORN), newest.read_bytes()[contents.length :])
                os.truncate(newest, contents.length)
            sync_file(newest)
            self.next_seq = first_seq(newest) + len(contents.records)
            kept, self.chain = self.chain, grown(self.chain, first_seq(newest), contents.records)
            if self.chain != kept:
                with contextlib.suppress(OSError):  # a full disk: it is kept before the next segment is closed
                    keep_chain(self.folder, self.chain)
        self.next_seq = max(self.next_seq, self.chain.last_seq + 1)  # a power cut may take a segment, and its name with it
        self._begin()

    def _begin(self) -> None:
        """Open the next segment. Only the opening can fail, and then no segment was made."""
        path = segment_path(self.folder, self.next_seq)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._named = False  # seen to when the first record is
        self._clean = self._synced = True
        self.size = 0

    def _cut_leftovers(self) -> None:
        if not self._clean:
            os.ftruncate(self._file, self.size)
            self._clean = True


def slots(spools: Path) -> list[Path]:
    """The folders of all slots of this machine."""
    return sorted(path for path in spools.glob("slot-*") if path.is_dir())


def spool_id(folder: Path) -> str | None:
    """The identity of a slot, or None before its first lease is complete."""
    path = folder / _ID
    return path.read_text() if path.exists() else None
