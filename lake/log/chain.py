"""The chain of a slot's commits: what seals each group of records, and where the chain stands, whoever ends when.

Its head is kept in the slot's folder whenever a segment is closed, for the shipper may remove that; what the open segment
holds is read from it. A crash may leave records on disk without their commit: nobody was answered, and the first commit of
the slot's next life seals them with its own.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from lake.documents import Document, canonical, decoded, write_file
from lake.home import now_us
from lake.log.commits import Commit, CommitRecord, Span, encode_commit_record, place_of, signed
from lake.log.log_key import LogKey
from lake.log.merkle import leaf_of, root_of
from lake.release.heads import GENESIS

_HEAD = "chain"


class Unsealed(Document, frozen=True, kw_only=True):
    """A record on disk that no commit seals yet: its leaf, in hex, and the table it belongs to."""

    leaf: str
    use_case: str
    table: str


class ChainHead(Document, frozen=True, kw_only=True):
    """The newest commit of a slot, by number and digest, and the records behind it; `last_seq` is the last of all."""

    number: int = 0
    digest: str = GENESIS
    last_seq: int = 0
    unsealed: tuple[Unsealed, ...] = ()
    format_version: int = 1


class Sealed(msgspec.Struct, frozen=True):
    """A commit that is to be written behind its records, with its leaves."""

    commit: Commit
    leaves: list[bytes]
    encoded: bytes


class Chain:
    """Seals what one slot appends. Not for use by two threads at once."""

    def __init__(self, folder: Path, spool_id: str, head: ChainHead, key: LogKey) -> None:
        self.head = head
        self._folder = folder
        self._spool_id = spool_id
        self._key = key

    def seal(self, records: list[bytes], next_seq: int) -> Sealed:
        """The commit over these records, of which the first will have this number, and over what was left unsealed."""
        return sealed_behind(self.head, self._spool_id, records, next_seq, self._key)

    def advance(self, sealed: Sealed) -> None:
        """The commit is on disk: the next one links to it."""
        commit = sealed.commit
        self.head = ChainHead(number=commit.number, digest=commit.digest, last_seq=commit.last_seq + 1)

    def keep(self) -> None:
        """Keep the head in the slot's folder, durably: before a segment is closed. Raises OSError."""
        keep_chain(self._folder, self.head)


def sealed_behind(head: ChainHead, spool_id: str, records: list[bytes], next_seq: int, key: LogKey) -> Sealed:
    """The commit of a slot that follows this head: over what it left unsealed, and over these records from `next_seq` on."""
    leaves = [bytes.fromhex(one.leaf) for one in head.unsealed]
    leaves += map(leaf_of, records)
    places = [(one.use_case, one.table) for one in head.unsealed]
    places += map(place_of, records)
    commit = Commit(
        spool_id=spool_id,
        number=head.number + 1,
        first_seq=next_seq - len(head.unsealed),
        count=len(leaves),
        root=root_of(leaves),
        previous=head.digest,
        committed_at_us=now_us(),
        spans=_spans(places),
        key_id=key.id,
    )
    commit = signed(commit, key)
    return Sealed(commit, leaves, encode_commit_record(CommitRecord(commit, b"".join(leaves))))


def read_chain(folder: Path) -> ChainHead:
    """Where the chain of a slot stood when its last segment was closed; at its beginning where none was."""
    path = folder / _HEAD
    return decoded(path.read_bytes(), f"the head of the chain ({path})", ChainHead) if path.exists() else ChainHead()


def keep_chain(folder: Path, head: ChainHead) -> None:
    """Keep the head in the slot's folder, durably. Raises OSError."""
    write_file(folder / _HEAD, canonical(head))


def grown(head: ChainHead, first_seq: int, records: Sequence[bytes | None]) -> ChainHead:
    """The head behind these records as well; one that is damaged is None, and keeps its place."""
    number, digest, unsealed = head.number, head.digest, list(head.unsealed)
    for seq, record in enumerate(records, start=first_seq):
        if seq <= head.last_seq:
            continue
        commit = None if record is None else _commit_in(record)
        if commit is not None:
            number, digest, unsealed = commit.number, commit.digest, []
        else:
            use_case, table = place_of(record or b"")
            unsealed.append(Unsealed(leaf=leaf_of(record or b"").hex(), use_case=use_case, table=table))
    last_seq = max(head.last_seq, first_seq + len(records) - 1)
    return ChainHead(number=number, digest=digest, last_seq=last_seq, unsealed=tuple(unsealed))


_decode = msgspec.msgpack.Decoder(CommitRecord).decode


def _commit_in(record: bytes) -> Commit | None:
    """The commit that a record is, or None for any other."""
    try:
        return _decode(record).commit
    except msgspec.MsgspecError:
        return None


def _spans(places: Sequence[tuple[str, str]]) -> tuple[Span, ...]:
    return tuple(Span(use_case, table, len(list(run))) for (use_case, table), run in groupby(places))
