"""A segment: a file of framed, checksummed records. How it is written and how it is read.

A frame is `length` and `crc32` (little-endian, 32 bits each) and then the record's bytes, at least one: zeros, which a
power cut can leave at the end of a file, are no record. The file's name is the sequence number of its first record.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lake.errors import InvalidInput, Problem

_HEADER = struct.Struct("<II")
SUFFIX = ".segment"
MAXIMUM_RECORD_BYTES = 64 * 1024 * 1024


class Contents(msgspec.Struct, frozen=True):
    """What a segment holds.

    `records` are in order; a record whose checksum fails is None, with its bytes in `damaged`. `length` is where
    whole frames end; bytes behind it are a torn tail.
    """

    records: list[bytes | None]
    length: int
    torn_bytes: int
    damaged: list[bytes]


def frame(record: bytes) -> bytes:
    """The record as it stands in a segment. Raises InvalidInput for one that could not be read again."""
    if not 0 < len(record) <= MAXIMUM_RECORD_BYTES:
        expected = f"1 to {MAXIMUM_RECORD_BYTES:,} bytes"
        raise InvalidInput([Problem(path="record", found=f"{len(record):,} bytes", expected=expected)])
    return _HEADER.pack(len(record), zlib.crc32(record)) + record


def read_segment(path: Path) -> Contents:
    """All whole records of a segment. Never raises on damage: it is what this function reports."""
    data = path.read_bytes()
    records: list[bytes | None] = []
    damaged: list[bytes] = []
    position = 0
    while position + _HEADER.size <= len(data):
        size, checksum = _HEADER.unpack_from(data, position)
        end = position + _HEADER.size + size
        if not 0 < size <= MAXIMUM_RECORD_BYTES or end > len(data):
            break
        record = data[position + _HEADER.size : end]
        if zlib.crc32(record) == checksum:
            records.append(record)
        else:
            records.append(None)
            damaged.append(record)
        position = end
    return Contents(records, position, len(data) - position, damaged)


def segment_path(folder: Path, first_seq: int) -> Path:
    """The segment whose first record has this sequence number."""
    return folder / f"{first_seq:020}{SUFFIX}"


def first_seq(path: Path) -> int:
    """The sequence number of a segment's first record."""
    return int(path.name.removesuffix(SUFFIX))


def segments(folder: Path) -> list[Path]:
    """The segments of a slot, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def closed_segments(folder: Path) -> list[Path]:
    """The segments of a slot that nobody writes to any more, oldest first and without a gap.

    A folder that changes while it is listed may be listed in part. What is older than the newest of a first listing
    was there before the second began, so the second has all of it.
    """
    newest = segments(folder)[-1:]
    return [path for path in segments(folder) if [path] < newest]


def joined(records: Iterable[bytes]) -> bytes:
    """Several records, framed, as one write."""
    return b"".join(map(frame, records))
