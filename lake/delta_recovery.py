"""What a power cut leaves of Delta tables, mended: commits that are not whole are taken back.

delta-rs fsyncs nothing. Who commits does so afterwards, and only then lets go of what the rows were made of. A power cut in
between may leave the name of a log entry without its bytes, or the entry without its data files: nobody could open the table,
and its rows would be taken for known. None of it was acknowledged, so it may go; the rows are shipped again.
"""

import time
from pathlib import Path
from urllib.parse import unquote

import msgspec
import polars as pl
import structlog
from polars.exceptions import PolarsError

from lake.delta_log import LOG_FOLDER
from lake.documents import sync_folder, write_file

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CHECKED = "boot"
_LAST_CHECKPOINT = "_last_checkpoint"
# Each writer of a table has at most one commit that is not yet on disk.
_ENTRIES = 8
# Another machine may just be writing what looks torn from here.
_PATIENCE_S = 2.0

log = structlog.get_logger(__name__)


class _File(msgspec.Struct, frozen=True):
    path: str
    size: int = 0


class _Action(msgspec.Struct, frozen=True):
    """One line of a log entry, as far as it is read here."""

    add: _File | None = None
    remove: _File | None = None


_ACTION = msgspec.json.Decoder(_Action)


def recover_tables(root: Path, lake: Path) -> None:
    """Mend every table of a lake in a folder, once after each start of this machine, whose home is `root`. Raises OSError."""
    booted = _BOOT_ID.read_bytes() if _BOOT_ID.exists() else b""
    checked = root / _CHECKED
    if booted and checked.exists() and checked.read_bytes() == booted:
        return
    for folder in sorted(lake.glob(f"*/*/{LOG_FOLDER}")):
        recover_table(folder.parent)
    write_file(checked, booted)


def recover_table(root: Path, patience_s: float = _PATIENCE_S) -> list[Path]:
    """Take back the newest commits of a table from the first on that is not whole; returns their entries, now set aside.

    Safe to run twice, and beside writers: what they commit is whole.
    """
    folder = root / LOG_FOLDER
    if (_torn(root) or _torn_checkpoints(folder)) and patience_s:
        time.sleep(patience_s)
    for checkpoint in _torn_checkpoints(folder):
        checkpoint.unlink(missing_ok=True)
    torn = _torn(root)
    aside = []
    for entry in reversed(torn):  # the newest first: at each moment the log has no gap
        entry.with_suffix(".checkpoint.parquet").unlink(missing_ok=True)
        aside.append(entry.replace(entry.with_suffix(".torn")))
        log.error("commit taken back that a power cut had torn", table=str(root), entry=entry.name)
    for pointer in _torn_checkpoints(folder):
        pointer.unlink(missing_ok=True)
    sync_folder(folder)
    return aside


def _torn(root: Path) -> list[Path]:
    """The newest entries from the first on that is not whole, oldest first."""
    entries = sorted((root / LOG_FOLDER).glob("[0-9]*.json"))[-_ENTRIES:]
    first, removed = len(entries), set[str]()
    for index in reversed(range(len(entries))):
        actions = _actions(entries[index])
        added = [action.add for action in actions or () if action.add is not None]
        if actions is None or not all(one.path in removed or _is_whole(root / unquote(one.path), one.size) for one in added):
            first = index
        removed |= {action.remove.path for action in actions or () if action.remove is not None}
    return entries[first:]


def _actions(entry: Path) -> list[_Action] | None:
    """What an entry says, or None where its bytes are not an entry."""
    try:
        actions = [_ACTION.decode(line) for line in entry.read_bytes().splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return actions or None


def _is_whole(file: Path, size: int) -> bool:
    """Whether a data file has its bytes: all of them are read, a part at a time."""
    return file.exists() and file.stat().st_size == size and _is_readable(file)


def _is_readable(file: Path) -> bool:
    try:
        for _ in pl.scan_parquet(file, hive_partitioning=False, glob=False).collect_batches():
            pass
    except (PolarsError, OSError):
        return False
    return True


def _torn_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of the newest entries that nobody can read, and the pointer to the newest where it leads to none."""
    entries = sorted(folder.glob("[0-9]*.json"))[-_ENTRIES:]
    checkpoints = [entry.with_suffix(".checkpoint.parquet") for entry in entries]
    torn = [one for one in checkpoints if one.exists() and not _is_readable(one)]
    pointer = folder / _LAST_CHECKPOINT
    if pointer.exists():
        try:
            version = msgspec.json.decode(pointer.read_bytes(), type=_Pointer).version
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return [*torn, pointer]
        target = folder / f"{version:020}.checkpoint.parquet"
        if not target.exists() or target in torn:
            torn.append(pointer)
    return torn


class _Pointer(msgspec.Struct, frozen=True):
    version: int
