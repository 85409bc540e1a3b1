"""A segment: a file of framed, numbered, checksummed records. How it is written and how it is read.

A frame is a mark, `crc32` (32 bits) of all that follows, `length` (32 bits) and sequence number (64 bits) of the record, all
little-endian, and then the record's bytes, at least one. The mark begins with a byte that neither UTF-8 nor the types of
msgpack have: behind damage, wherever it struck, the reader goes on at the next frame, and the number there tells how
many records are lost. The file's name is the sequence number of its first record.
"""

import struct
from collections.abc import Iterable
from pathlib import Path

import msgspec
from isal.isal_zlib import crc32

from lake.errors import InvalidInput, Problem

SUFFIX = ".segment"
MAXIMUM_RECORD_BYTES = 64 * 1024 * 1024

_MARK = b"\xc1TS1"
_CHECKSUM = struct.Struct("<I")
_NUMBERED = struct.Struct("<IQ")
_HEADER = struct.Struct("<4sIIQ")  # all of it at once
_CHECKED_FROM = len(_MARK) + _CHECKSUM.size
FRAME_BYTES = _CHECKED_FROM + _NUMBERED.size
"""What a frame adds to its record."""


class Contents(msgspec.Struct, frozen=True):
    """What a segment holds.

    `records` are in order and without a gap from the first number on; one that is lost is None. `damaged` has the bytes that
    stand in the place of lost records, each stretch of them once. `length` is where that ends; the bytes behind it are a
    torn tail, in which no record can be told.
    """

    records: list[bytes | None]
    length: int
    torn_bytes: int
    damaged: list[bytes]


class _Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame in the bytes of a segment; its record is None where the checksum fails."""

    start: int
    end: int
    number: int
    record: bytes | None


def frame(record: bytes, number: int) -> bytes:
    """The record as it stands in a segment. Raises InvalidInput for one that could not be read again."""
    if not 0 < len(record) <= MAXIMUM_RECORD_BYTES:
        expected = f"1 to {MAXIMUM_RECORD_BYTES:,} bytes"
        raise InvalidInput([Problem(path="record", found=f"{len(record):,} bytes", expected=expected)])
    numbered = _NUMBERED.pack(len(record), number)
    return _MARK + _CHECKSUM.pack(crc32(record, crc32(numbered))) + numbered + record


def joined(records: Iterable[bytes], first_number: int) -> bytes:
    """Several records, numbered from this on, as one write."""
    return b"".join(frame(record, number) for number, record in enumerate(records, start=first_number))


def read_segment(path: Path) -> Contents:
    """All whole records of a segment. Never raises on damage: it is what this function reports."""
    data = path.read_bytes()
    view = memoryview(data)
    number = first_seq(path)
    position = 0
    records: list[bytes | None] = []
    damaged: list[bytes] = []
    while True:
        whole, position = _whole_frames(data, position, number)
        records += whole
        number += len(whole)
        found = _next_whole(data, position + 1, number) or _last(_frame_at(view, position), number, len(data))
        if found is None:
            return Contents(records, position, len(data) - position, damaged)
        damaged.append(data[position : found.end if found.record is None else found.start])
        records += [None] * (found.number - number)
        records.append(found.record)
        number, position = found.number + 1, found.end


def _whole_frames(data: bytes, position: int, number: int) -> tuple[list[bytes], int]:
    """The records of the whole frames that follow each other here, numbered from this on, and where they end.

    What `_frame_at` finds, without a call for each: a backlog is millions of them.
    """
    view, size, unpack = memoryview(data), len(data), _HEADER.unpack_from
    records: list[bytes] = []
    while (begin := position + FRAME_BYTES) < size:
        mark, checksum, length, found = unpack(data, position)
        end = begin + length
        if mark != _MARK or found != number or not 0 < length <= MAXIMUM_RECORD_BYTES or end > size:
            break
        if crc32(view[position + _CHECKED_FROM : end]) != checksum:
            break
        records.append(data[begin:end])
        number, position = number + 1, end
    return records, position


def _frame_at(data: memoryview, position: int) -> _Frame | None:
    """The frame that begins here and ends within the bytes, or None."""
    checked, begin = position + _CHECKED_FROM, position + FRAME_BYTES
    if begin >= len(data) or data[position : position + len(_MARK)] != _MARK:
        return None
    length, number = _NUMBERED.unpack_from(data, checked)
    end = begin + length
    if not 0 < length <= MAXIMUM_RECORD_BYTES or end > len(data):
        return None
    [checksum] = _CHECKSUM.unpack_from(data, position + len(_MARK))
    return _Frame(position, end, number, bytes(data[begin:end]) if crc32(data[checked:end]) == checksum else None)


def _next_whole(data: bytes, begin: int, number: int) -> _Frame | None:
    """The next whole frame whose number can follow: this one, or one later by no more than the skipped bytes could hold."""
    view = memoryview(data)
    start = data.find(_MARK, begin)
    while start >= 0:
        found = _frame_at(view, start)
        if found is not None and found.record is not None and 0 <= found.number - number <= (start - begin) // FRAME_BYTES + 1:
            return found
        start = data.find(_MARK, start + 1)
    return None


def _last(found: _Frame | None, number: int, length: int) -> _Frame | None:
    """The frame, if it is the last of its segment and only its record is damaged: then it keeps its number."""
    return found if found is not None and found.number == number and found.end == length else None


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
