"""Folders whose paths are short enough for Unix sockets, of which the kernel knows 107 bytes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for sockets, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)
