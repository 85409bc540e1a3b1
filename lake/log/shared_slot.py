"""A slot that stands in the lake: what machines append to that share nothing else, each record exactly once.

Its segments are those of a spool, but each is written whole, with its commit, as a file that only one writer can make:
the name is the number of its first record, so of two who would append behind the same head one wins. Whoever comes next
ships what the last one, killed or not, has left. A segment that is shipped leaves its head alone in the file.

A segment is written only when all before it are shipped, so only the newest can be waiting. An older one, or one that a
slow writer put where another's had been, is none: it is removed unread.
"""

import contextlib
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from lake.bucket import is_bucket
from lake.delta import Table
from lake.delta_recovery import recover_tables
from lake.documents import DocumentStore, canonical, decoded
from lake.errors import Conflict, VerificationError
from lake.failpoints import reach
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.log.batch import BatchReader
from lake.log.chain import ChainHead, grown, sealed_behind
from lake.log.commit_rows import commit_records
from lake.log.commits import Commit
from lake.log.log_key import LogKey
from lake.log.segment import SUFFIX, first_seq, joined, read_segment, segment_path
from lake.log.shipper import PARTITIONS
from lake.tables import COMMITS, LOG

_ID, _ID_BYTES = "spool_id", 16
_HEAD_BEGINS = b"{"  # JSON; a frame begins with a byte that it has not


class SharedSlot:
    """One slot of a lake, by its folder there. Its commits are signed by the log's key of the machine that appends.

    Raises Unavailable while the lake is away.
    """

    def __init__(self, home: Home, folder: str) -> None:
        self._home = home
        self._folder = folder
        self._store = DocumentStore(home.lake)
        self.spool_id = self._identity()
        self._key = LogKey.read_or_make(home.keys)
        self._recovered = is_bucket(home.lake)

    def settle(self) -> ChainHead:
        """Ship what an earlier writer has left; returns the head behind which the next record goes. Safe to run twice.

        Raises VerificationError for a segment that cannot be read, Unavailable.
        """
        if not self._recovered:
            recover_tables(self._home.root, Path(self._home.lake))
            self._recovered = True
        names = self._names()
        if not names:
            return ChainHead()
        for name in names[:-1]:
            self._store.remove(self._path(name))
        newest = self._path(names[-1])
        data = self._store.find(newest)
        if data is None:  # another has appended, and removed it
            return self.settle()
        if data.startswith(_HEAD_BEGINS):
            return decoded(data, f"the head of the slot ({newest})", ChainHead)
        head = self._shipped(names[-1], data)
        reach("segment shipped")
        self._store.put(newest, canonical(head))
        return head

    def append(self, records: list[bytes], head: ChainHead) -> ChainHead:
        """Append behind this head and ship; returns the new head. Where another was faster nothing is: raises Conflict."""
        begin = head.last_seq + 1
        sealed = sealed_behind(head, self.spool_id, records, begin, self._key)
        name = segment_path(Path(), begin).name
        self._store.put_new(self._path(name), joined([*records, sealed.encoded], begin))
        reach("segment in the lake")
        newest = self.settle()
        if newest.digest != sealed.commit.digest and not self._holds(sealed.commit):
            raise Conflict(f"the slot {self._folder}", f"{head.last_seq} records before these", newest.last_seq)
        return newest

    def _shipped(self, name: str, data: bytes) -> ChainHead:
        """Give the tables the rows of a segment, which has some already if it was shipped in part; returns its head."""
        with TemporaryDirectory(prefix="trainserve-") as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            batch = BatchReader(self.spool_id, partial(read_input_schema, self._store)).read([path])
            head = grown(ChainHead(), first_seq(path), read_segment(path).records)
        if batch.damages or head.unsealed:
            expected = "records and the commit that seals them: move it out of the lake, and what it held is delivered again"
            raise VerificationError(f"the segment {self._path(name)}", "bytes that nobody can read", expected)
        for (use_case, table), frames in batch.frames.items():
            Table(self._home.lake, use_case, table).append_once(pl.concat(frames), self.spool_id, PARTITIONS.get(table))
            reach("table synced")
        return head

    def _holds(self, commit: Commit) -> bool:
        """Whether this commit was shipped, though others have appended behind it since."""
        rows = Table(self._home.lake, LOG, COMMITS).scan().filter(spool_id=self.spool_id, number=commit.number).collect()
        return any(record.commit.digest == commit.digest for record in commit_records(rows))

    def _identity(self) -> str:
        """What the slot is called in its rows: made by the first who comes."""
        if self._store.find(self._path(_ID)) is None:
            with contextlib.suppress(Conflict):
                self._store.put_new(self._path(_ID), os.urandom(_ID_BYTES).hex().encode())
        return self._store.get(self._path(_ID)).decode()

    def _names(self) -> list[str]:
        """The segments, oldest first. What changes while it is listed may be listed in part: so twice, until it stands still."""
        while (names := self._listed()) != self._listed():
            continue
        return names

    def _listed(self) -> list[str]:
        return [name for name in self._store.names(self._folder) if name.endswith(SUFFIX)]

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"
