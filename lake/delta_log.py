"""The log of a Delta table in a folder: what its commits made, put on disk, which delta-rs does not do."""

import contextlib
from pathlib import Path
from urllib.parse import unquote

import msgspec

from lake.documents import sync_file, sync_folder

LOG_FOLDER = "_delta_log"
_LAST_CHECKPOINT = "_last_checkpoint"


class _File(msgspec.Struct, frozen=True):
    path: str


class _Action(msgspec.Struct, frozen=True):
    """One line of a log entry, as far as we read it."""

    add: _File | None = None


_ACTION = msgspec.json.Decoder(_Action)


def sync_commits(root: Path, first: int, last: int) -> None:
    """Fsync the data files, log entries and checkpoints of these versions, and the folders that they stand in.

    An entry that is not there any more stood before a checkpoint, and was cleaned away.
    """
    log = root / LOG_FOLDER
    folders = set[Path]()
    for number in range(first, last + 1):
        entry = log / f"{number:020}.json"
        if not entry.exists():
            continue
        for line in entry.read_bytes().splitlines():
            added = _ACTION.decode(line).add
            if added is not None and (file := root / unquote(added.path)).exists():
                sync_file(file)
                folders.add(file.parent)
        sync_file(entry)
        if (checkpoint := entry.with_suffix(".checkpoint.parquet")).exists():
            sync_file(checkpoint)
            with contextlib.suppress(FileNotFoundError):  # another writer has just made the first, and syncs both
                sync_file(log / _LAST_CHECKPOINT)
    for folder in (*folders, log, root, root.parent):  # an entry has a name only after its files have theirs
        sync_folder(folder)
