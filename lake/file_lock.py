"""The lock on a file that is read, changed and written again: of several who do so at once, none undoes what another did."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lake.documents import make_folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this file, waiting for whoever has it. It stands in a file beside, as the file itself is replaced."""
    make_folder(path.parent)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
