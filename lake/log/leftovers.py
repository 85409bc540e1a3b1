"""What of an entity stands on this machine and in no table: records that wait to be shipped, and bytes that nobody could read.

Both are a machine's own, so an erasure is asked for on each machine that logs.
"""

import threading
import time
from pathlib import Path

import msgspec

from lake.documents import sync_folder
from lake.errors import TrainServeError
from lake.home import Home
from lake.log.backlog import set_aside_folder
from lake.log.mention import Mention
from lake.log.segment import read_segment, segments
from lake.log.shipper import Shipper
from lake.log.slot import TORN, slots

_LOOK_S = 0.1


class Unshipped(msgspec.Struct, frozen=True):
    """How many segments could not be shipped, and the last reason if there was one."""

    segments: int
    why: str


def waiting_records(home: Home, mention: Mention) -> int:
    """How many records in the spools of this machine mention the entity."""
    count = 0
    for folder in slots(home.spools):
        for path in segments(folder):
            try:
                records = read_segment(path).records
            except FileNotFoundError:
                continue  # shipped between the listing and the look
            count += sum(record is not None and mention.is_in(record) for record in records)
    return count


def ship_what_waits(home: Home, patience_s: float) -> Unshipped:
    """Have all shipped that is in the spools by now, beside proxies and other shippers; waits for open segments to close."""
    pending = [path for folder in slots(home.spools) for path in segments(folder) if _has_records(path)]
    deadline, why = time.monotonic() + patience_s, ""
    while pending := [path for path in pending if _has_records(path)]:
        try:
            Shipper(home).ship()
        except (TrainServeError, OSError) as failure:
            why = str(failure)
        if time.monotonic() > deadline:
            pending = [path for path in pending if _has_records(path)]
            break
        threading.Event().wait(_LOOK_S)
    return Unshipped(len(pending), why)


def unreadable_files(home: Home, mention: Mention) -> list[Path]:
    """The files of bytes set aside, and of torn tails, that mention the entity."""
    kept = [*set_aside_folder(home).glob("*"), *(path for folder in slots(home.spools) for path in folder.glob(f"*{TORN}"))]
    return sorted(path for path in kept if path.is_file() and mention.is_in(path.read_bytes()))


def remove_files(paths: list[Path]) -> None:
    """Remove files, durably. Safe to run twice."""
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        sync_folder(folder)


def _has_records(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
