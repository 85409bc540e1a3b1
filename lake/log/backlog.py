"""The backlog: what the spools of this machine hold that no table has yet, and what was set aside."""

import time
from pathlib import Path

import msgspec

from lake.home import Home
from lake.log.records import decode_record
from lake.log.segment import first_seq, read_segment, segments
from lake.log.slot import slots

_MICROSECONDS = 1_000_000


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in the spools: closed and open segments together."""

    segments: int
    bytes: int


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in one slot. `lag_s` is the age of its oldest record, 0 while none waits."""

    slot: str
    rows: int
    bytes: int
    lag_s: float


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be read, and was kept for a person to look at."""

    files: int
    bytes: int


def backlog(home: Home) -> Backlog:
    """What waits on this machine, told by the sizes of the segments: cheap enough to ask at every request for metrics."""
    sizes = []
    for folder in slots(home.spools):
        for path in segments(folder):
            try:
                sizes.append(path.stat().st_size)
            except FileNotFoundError:
                continue  # shipped between the listing and the look
    return Backlog(segments=sum(size > 0 for size in sizes), bytes=sum(sizes))


def waiting(home: Home) -> list[Waiting]:
    """What waits in each slot; of every slot its oldest and its newest segment are read."""
    return [_waiting(folder) for folder in slots(home.spools)]


def set_aside(home: Home) -> SetAside:
    """What was set aside and not taken away since."""
    sizes = [path.stat().st_size for path in set_aside_folder(home).glob("*") if path.is_file()]
    return SetAside(files=len(sizes), bytes=sum(sizes))


def set_aside_folder(home: Home) -> Path:
    """Where the bytes of unreadable records are kept, a file for each segment that had some."""
    return home.root / "set_aside"


def _waiting(folder: Path) -> Waiting:
    while True:
        try:
            found = segments(folder)
            filled = [path for path in found if path.stat().st_size]
            if not filled:
                return Waiting(slot=folder.name, rows=0, bytes=0, lag_s=0.0)
            newest = read_segment(found[-1])
            return Waiting(
                slot=folder.name,
                rows=first_seq(found[-1]) + len(newest.records) - first_seq(filled[0]),
                bytes=sum(path.stat().st_size for path in filled),
                lag_s=max(0.0, time.time() - _oldest_s(filled[0])),
            )
        except FileNotFoundError:
            continue  # a segment was shipped meanwhile: what waits now is less


def _oldest_s(path: Path) -> float:
    """When the first record of a segment was received, in seconds since 1970; where none tells it, when it was written."""
    for encoded in read_segment(path).records:
        try:
            record = None if encoded is None else decode_record(encoded)
        except msgspec.MsgspecError:
            continue
        received_at_us = getattr(record, "received_at_us", None)
        if received_at_us is not None:
            return float(received_at_us) / _MICROSECONDS
    return path.stat().st_mtime
