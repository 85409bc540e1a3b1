"""The Merkle tree of RFC 6962: what binds many records to one root, and proves one of them with few digests.

A digest is SHA-256 as its 32 bytes. A leaf is hashed with the byte 0 before it, a node with the byte 1, so that neither can
be passed off as the other.
"""

from collections.abc import Sequence
from hashlib import sha256

from lake.errors import VerificationError

DIGEST_BYTES = 32


def leaf_of(data: bytes) -> bytes:
    """The leaf of these bytes."""
    return sha256(b"\0" + data).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaves in their order; that of no leaves is the digest of nothing."""
    if not leaves:
        return sha256().digest()
    level = leaves
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """What leads from the leaf at this index to the root: at each level the digest beside it, where there is one."""
    path, level = [], leaves
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        level, index = _above(level), index >> 1
    return tuple(path)


def root_by(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """The root of the tree of `count` leaves in which this path leads from this leaf, at this index.

    Raises VerificationError for a path that no such tree has.
    """
    expected = f"the digests beside leaf {index} of {count}"
    if not 0 <= index < count:
        raise VerificationError("the path of a proof", f"a leaf at {index}", f"one of {count}, counted from 0")
    digest, last, left = leaf, count - 1, list(path)
    while last > 0:
        if index ^ 1 <= last:
            if not left:
                raise VerificationError("the path of a proof", f"{len(path)} digests", expected)
            beside = left.pop(0)
            digest = _node(beside, digest) if index & 1 else _node(digest, beside)
        index, last = index >> 1, last >> 1
    if left:
        raise VerificationError("the path of a proof", f"{len(path)} digests", expected)
    return digest


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The level above: a node for each pair, and a digest that is alone at the end as it is."""
    pairs = [_node(level[index], level[index + 1]) for index in range(0, len(level) - 1, 2)]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
