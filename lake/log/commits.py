"""Commits of the log: what seals the records that one group commit wrote. Their rows stand in `lake.log.commit_rows`.

A commit names its records by slot and sequence number, binds their bytes by the root of a Merkle tree, links to the commit
of its slot before it, and is signed by the key of the machine's log. It is one more record behind those it seals, in the
same write, with their leaves beside it: so a row can be checked, and proven, when others of its commit are gone.
"""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from lake.documents import sha256
from lake.errors import VerificationError
from lake.input_schema import INT64_MAXIMUM, INT64_MINIMUM
from lake.log.log_key import LogKey, LogKeys, is_signed
from lake.log.merkle import DIGEST_BYTES, root_of
from lake.release.heads import GENESIS
from lake.table_names import COMMITS

_SIGNED_FOR = b"trainserve log commit\n"
NOWHERE = ("", "")

# One that no column can hold makes the record unreadable: it is set aside, and stops no other.
Number = Annotated[int, msgspec.Meta(ge=INT64_MINIMUM, le=INT64_MAXIMUM)]


class Span(msgspec.Struct, frozen=True, gc=False):
    """Records of one table that follow each other in a commit; both names are empty where no table can take them."""

    use_case: str
    table: str
    count: Number


class Commit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What is signed of a commit. Its records have the numbers from `first_seq` on, without a gap.

    `number` counts the commits of a slot, from 1; `previous` is the digest of the one before; `spans` tell the tables of
    the records, in their order.
    """

    spool_id: str
    number: Number
    first_seq: Number
    count: Number
    root: bytes
    previous: str
    committed_at_us: Number
    spans: tuple[Span, ...]
    key_id: str
    signature: bytes = b""

    @property
    def what(self) -> str:
        """How messages name it."""
        return f"commit {self.number} of slot {self.spool_id[:8]}"

    @property
    def last_seq(self) -> int:
        """The number of its last record."""
        return self.first_seq + self.count - 1

    @property
    def digest(self) -> str:
        """What the next commit links to: over the signature too."""
        return sha256(_encode(self))

    def places(self) -> Iterator[tuple[str, str]]:
        """For each record the use case and the table that it belongs to."""
        for span in self.spans:
            for _ in range(span.count):
                yield span.use_case, span.table


class CommitRecord(msgspec.Struct, array_like=True, tag=COMMITS, gc=False):
    """A commit as it stands in the spool, with the leaves of its records one after the other."""

    commit: Commit
    leaves: bytes


_encode = msgspec.json.Encoder(order="sorted").encode
encode_commit_record = msgspec.msgpack.Encoder().encode


class _Beginning(msgspec.Struct, array_like=True):
    """How every record begins."""

    table: str
    use_case: str


_begin = msgspec.msgpack.Decoder(_Beginning).decode


def place_of(record: bytes) -> tuple[str, str]:
    """The use case and the table that an encoded record belongs to; NOWHERE for one that nobody can read."""
    try:
        beginning = _begin(record)
    except msgspec.MsgspecError:
        return NOWHERE
    return beginning.use_case, beginning.table


def signed(commit: Commit, key: LogKey) -> Commit:
    """The commit with its signature."""
    return msgspec.structs.replace(commit, signature=key.sign(_SIGNED_FOR + _encode(commit)))


def check_signature(commit: Commit, keys: LogKeys) -> None:
    """Raises VerificationError unless the key that it names is trusted and signed just this."""
    public = keys.get(commit.key_id)
    if public is None:
        expected = f"one of the {len(keys)} trusted: copy keys/trusted_log/{commit.key_id}.pub from the machine that logged it"
        raise VerificationError(commit.what, f"the key {commit.key_id}", expected)
    if not is_signed(public, _SIGNED_FOR + _encode(msgspec.structs.replace(commit, signature=b"")), commit.signature):
        raise VerificationError(commit.what, "a signature over something else", f"one by the key {commit.key_id} over it")


def check_leaves(record: CommitRecord) -> list[bytes]:
    """The leaves of a commit. Raises VerificationError unless they are those of its root."""
    commit = record.commit
    leaves = [record.leaves[start : start + DIGEST_BYTES] for start in range(0, len(record.leaves), DIGEST_BYTES)]
    if len(leaves) != commit.count or sum(span.count for span in commit.spans) != commit.count:
        raise VerificationError(commit.what, f"{len(leaves)} leaves", f"{commit.count}, each with its table")
    if root_of(leaves) != commit.root:
        raise VerificationError(commit.what, "leaves of another root", f"those of the root {commit.root.hex()[:16]}")
    return leaves


def check_link(commit: Commit, previous: Commit | None) -> None:
    """Raises VerificationError unless the commit follows this one, or is the first of its slot."""
    number, digest = (0, GENESIS) if previous is None else (previous.number, previous.digest)
    if commit.number != number + 1:
        raise VerificationError(commit.what, f"number {number} before it", f"number {commit.number - 1}")
    if commit.previous != digest:
        raise VerificationError(commit.what, f"a link to {commit.previous[:12]}", f"one to the commit before it, {digest[:12]}")
    if previous is not None and commit.first_seq <= previous.last_seq:
        found = f"records from {commit.first_seq} on"
        raise VerificationError(commit.what, found, f"records behind {previous.last_seq}, the last of the commit before it")
