"""Receipts: what a client keeps of an answer, and the proofs by which anybody with the log's public key can check it.

A receipt is short: the place of the rows, and the beginning of the root that binds them. A proof holds the records to the
byte, the path of each to the root, and the signed commit; it is checked without the lake.
"""

from collections.abc import Iterable, Sequence

import msgspec

from lake.documents import Document
from lake.errors import VerificationError
from lake.log.commits import Commit, check_signature
from lake.log.log_key import LogKeys
from lake.log.merkle import leaf_of, path_of, root_by

RECEIPT_HEADER = "trainserve-receipt"
PROOF_HEADER = "trainserve-proof"
_ROOT_BYTES = 16


class ProvenRecord(Document, frozen=True, kw_only=True):
    """A record as it was logged, its number, and the digests that lead from its leaf to the root."""

    seq: int
    record: bytes
    path: tuple[bytes, ...]


class Proof(Document, frozen=True, kw_only=True):
    """Records that one commit sealed. In JSON all bytes are base64."""

    commit: Commit
    records: tuple[ProvenRecord, ...]
    format_version: int = 1


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where the records of one request stand: `count` of them from `first_seq` on, in a commit with these leaves."""

    commit: Commit
    leaves: Sequence[bytes]
    first_seq: int
    count: int

    @property
    def text(self) -> str:
        """The receipt as a header carries it: a dictionary of RFC 9651."""
        commit = self.commit
        place = f'slot="{commit.spool_id}", seq={self.first_seq}, rows={self.count}, commit={commit.number}'
        return f'{place}, root="{commit.root[:_ROOT_BYTES].hex()}"'

    def proof(self, records: Sequence[bytes]) -> Proof:
        """The proof of these records, which are those that the receipt was given for."""
        return proof_of(self.commit, self.leaves, zip(range(self.first_seq, self.first_seq + self.count), records, strict=True))


def proof_of(commit: Commit, leaves: Sequence[bytes], numbered: Iterable[tuple[int, bytes]]) -> Proof:
    """The proof of some records of a commit, each with its number."""
    return Proof(
        commit=commit,
        records=tuple(
            ProvenRecord(seq=seq, record=record, path=path_of(leaves, seq - commit.first_seq)) for seq, record in numbered
        ),
    )


def with_proof(body: bytes, proof: Proof) -> bytes:
    """A JSON object with members, given one more: its proof."""
    return body.rstrip().removesuffix(b"}") + b',"proof":' + msgspec.json.encode(proof) + b"}"


def check_proof(proof: Proof, keys: LogKeys) -> None:
    """Raises VerificationError unless the log's key signed a root that binds each of the records at its place."""
    commit = proof.commit
    check_signature(commit, keys)
    for proven in proof.records:
        what = f"record {proven.seq} of slot {commit.spool_id[:8]}"
        if not commit.first_seq <= proven.seq <= commit.last_seq:
            raise VerificationError(what, "a place outside its commit", f"one from {commit.first_seq} to {commit.last_seq}")
        root = root_by(leaf_of(proven.record), proven.seq - commit.first_seq, commit.count, proven.path)
        if root != commit.root:
            raise VerificationError(
                what, f"bytes that lead to the root {root.hex()[:16]}", f"the signed {commit.root.hex()[:16]}"
            )
