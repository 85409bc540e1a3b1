"""A disk that forgets, at a power cut, what nobody had it keep: a file system in the memory of a process of its own.

It is as forgetful as POSIX allows: a file keeps what was fsynced, under the names that its folder was fsynced with. A cut is
a copy of what would be left at that moment, and the disk goes on; so one run of a test sees many. Of what is unsynced, every
other cut leaves nothing, and the others some of it: writes in any choice, the names of a folder up to any moment.
"""

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from tests.served import eventually

_WATCH, _SYNC, _REFUSE = "user.watch", "user.sync", "user.refuse"


class Node:
    """A file or a folder."""

    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.changed_ns = time.time_ns()
        self.links = 1


class File(Node):
    """Its bytes, those of them that are on disk, and the changes since: what was written where, or (None) a new length."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFREG | mode)
        self.content, self.kept = bytearray(), bytearray()
        self.unsynced: list[tuple[int, bytes | None]] = []

    def change(self, at: int, data: bytes | None) -> None:
        """Write these bytes here, or make it this long."""
        _apply(self.content, at, data)
        self.unsynced.append((at, data))
        self.changed_ns = time.time_ns()

    def sync(self) -> None:
        """Keep all of it."""
        for at, data in self.unsynced:
            _apply(self.kept, at, data)
        self.unsynced.clear()

    def left(self, randomness: Random | None) -> bytes:
        """What a power cut leaves."""
        left = bytearray(self.kept)
        for at, data in self.unsynced:
            if randomness is not None and randomness.random() < 0.5:
                _apply(left, at, data)
        return bytes(left)


class Folder(Node):
    """Its entries, those of them that are on disk, and the changes since: names with what they came to mean, if anything."""

    def __init__(self, mode: int) -> None:
        super().__init__(stat.S_IFDIR | mode)
        self.entries: dict[str, Node] = {}
        self.kept: dict[str, Node] = {}
        self.unsynced: list[dict[str, Node | None]] = []

    def change(self, changes: dict[str, Node | None]) -> None:
        """Let these names mean this, at once."""
        _rename(self.entries, changes)
        self.unsynced.append(changes)
        self.changed_ns = time.time_ns()

    def sync(self) -> None:
        """Keep all of it."""
        self.kept = dict(self.entries)
        self.unsynced.clear()

    def left(self, randomness: Random | None) -> dict[str, Node]:
        """What a power cut leaves."""
        left = dict(self.kept)
        for changes in self.unsynced[: randomness.randint(0, len(self.unsynced)) if randomness else 0]:
            _rename(left, changes)
        return left


class Watch(msgspec.Struct):
    """Where and how often to cut: before each change, or fsync, below a path whose number can be divided by `every`."""

    below: str
    every: int
    to: str
    changes: int = 0


class ForgetfulDisk:
    """The file system, as FUSE calls it. One call at a time."""

    use_ns = True

    def __init__(self) -> None:
        self.root = Folder(0o755)
        self.refused = 0
        self.watches: list[Watch] = []
        self._random = Random(0)  # noqa: S311 - the same luck each time
        self._cuts = 0
        self._open: dict[int, File] = {}
        self._handles = iter(range(1, sys.maxsize))

    def getattr(self, path: str, _handle: int | None = None) -> dict[str, int]:
        """The attributes of what stands there."""
        node = self._node(path)
        size = len(node.content) if isinstance(node, File) else 0
        times = dict.fromkeys(("st_mtime", "st_ctime", "st_atime"), node.changed_ns)
        return {"st_mode": node.mode, "st_size": size, "st_nlink": node.links, "st_uid": os.getuid(), **times}

    def readdir(self, path: str, _handle: int) -> list[str]:
        """The names in a folder."""
        return [".", "..", *self._folder(path).entries]

    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder."""
        return self._name(path, Folder(mode))

    def create(self, path: str, mode: int, _info: Any = None) -> int:
        """Make a file and open it."""
        file = File(mode & 0o7777)
        self._name(path, file)
        return self._opened(file)

    def open(self, path: str, flags: int) -> int:
        """Open a file."""
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._check(path)
        return self._opened(self._file(path))

    def release(self, _path: str | None, handle: int) -> int:
        """Close a file."""
        del self._open[handle]
        return 0

    def read(self, _path: str | None, size: int, offset: int, handle: int) -> bytes:
        """Some bytes of a file."""
        return bytes(self._open[handle].content[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, handle: int) -> int:
        """Write bytes."""
        self._check(path)
        self._open[handle].change(offset, bytes(data))
        return len(data)

    def truncate(self, path: str, length: int, handle: int | None = None) -> int:
        """Make a file this long."""
        self._check(path)
        (self._file(path) if handle is None else self._open[handle]).change(length, None)
        return 0

    def link(self, target: str, source: str) -> int:
        """Give a file another name."""
        if self._parent(target)[0].entries.get(self._parent(target)[1]) is not None:
            raise OSError(errno.EEXIST, target)
        file = self._file(source)
        file.links += 1
        return self._name(target, file)

    def unlink(self, path: str) -> int:
        """Take a name away."""
        self._node(path).links -= 1
        return self._name(path, None)

    def rmdir(self, path: str) -> int:
        """Take an empty folder away."""
        if self._folder(path).entries:
            raise OSError(errno.ENOTEMPTY, path)
        return self._name(path, None)

    def rename(self, old: str, new: str) -> int:
        """Let the new name mean what the old one did."""
        self._check(new)
        node = self._node(old)
        (before, left), (after, taken) = self._parent(old), self._parent(new)
        if before is after:
            before.change({left: None, taken: node})
        else:
            after.change({taken: node})
            before.change({left: None})
        return 0

    def fsync(self, path: str | None, _data_only: int, handle: int) -> int:
        """Keep a file."""
        self._check(path)
        self._open[handle].sync()
        return 0

    def fsyncdir(self, path: str, _data_only: int, _handle: int) -> int:
        """Keep the names in a folder."""
        self._check(path)
        self._folder(path).sync()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        """Change who may do what."""
        self._node(path).mode = mode
        return 0

    def chown(self, _path: str, _owner: int, _group: int) -> int:
        """Everything is the owner's."""
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        """Change the time."""
        self._node(path).changed_ns = time.time_ns() if times is None else times[1]
        return 0

    def statfs(self, _path: str) -> dict[str, int]:
        """Room without an end."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 1 << 28, "f_bfree": 1 << 27, "f_bavail": 1 << 27, "f_namemax": 255}

    def setxattr(self, _path: str, name: str, value: bytes, _options: int, _position: int = 0) -> int:
        """What tests ask of the disk itself."""
        if name == _WATCH:
            self.watches = msgspec.json.decode(value, type=list[Watch])
        elif name == _SYNC:
            _sync(self.root)
        elif name == _REFUSE:
            self.refused = int(value)
        return 0

    def _check(self, path: str | None) -> None:
        if self.refused:
            raise OSError(self.refused, os.strerror(self.refused))
        for watch in self.watches:
            if path is not None and path.startswith(watch.below):
                watch.changes += 1
                if watch.changes % watch.every == 0:
                    self._cuts += 1
                    left = Path(watch.to) / str(time.monotonic_ns())
                    _write(self.root, left, self._random if self._cuts % 2 else None)

    def _opened(self, file: File) -> int:
        handle = next(self._handles)
        self._open[handle] = file
        return handle

    def _node(self, path: str) -> Node:
        node: Node = self.root
        for name in filter(None, path.split("/")):
            found = node.entries.get(name) if isinstance(node, Folder) else None
            if found is None:
                raise OSError(errno.ENOENT, path)
            node = found
        return node

    def _file(self, path: str) -> File:
        node = self._node(path)
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, path)
        return node

    def _folder(self, path: str) -> Folder:
        node = self._node(path)
        if not isinstance(node, Folder):
            raise OSError(errno.ENOTDIR, path)
        return node

    def _parent(self, path: str) -> tuple[Folder, str]:
        folder, _, name = path.rpartition("/")
        return self._folder(folder), name

    def _name(self, path: str, node: Node | None) -> int:
        self._check(path)
        folder, name = self._parent(path)
        folder.change({name: node})
        return 0


class Mounted:
    """A forgetful disk that is mounted: what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def watch(self, *watches: Watch) -> None:
        """Cut the power so often from now on. Each cut becomes a folder, named by the reading of `monotonic_ns`."""
        os.setxattr(self.folder, _WATCH, msgspec.json.encode(watches))

    def refuse(self, error: int) -> None:
        """Let every change fail with this error number, or none (0)."""
        os.setxattr(self.folder, _REFUSE, str(error).encode())

    def command(self, *arguments: str) -> tuple[str, ...]:
        """A command of `trainserve` whose `os.sync` this disk hears of: FUSE does not tell it."""
        return (sys.executable, "-m", "tests.forgetful_disk", str(self.folder), *arguments)


@contextmanager
def forgetful_disk(folder: Path) -> Iterator[Mounted]:
    """A forgetful disk in this folder; skips the test where that is not possible."""
    if find_spec("mfusepy") is None or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("a file system in a process needs mfusepy, /dev/fuse and root")
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-m", "tests.forgetful_disk", str(folder)], stderr=subprocess.PIPE) as server:
        assert server.stderr is not None
        eventually(lambda: os.path.ismount(folder) or server.poll() is not None)
        if server.poll() is not None:
            pytest.skip(f"the file system did not start: {server.stderr.read().decode().splitlines()[-1]}")
        try:
            yield Mounted(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - Debian's


def _apply(content: bytearray, at: int, data: bytes | None) -> None:
    content.extend(bytes(max(0, at - len(content))))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


def _rename(entries: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


def _sync(node: Node) -> None:
    if isinstance(node, Folder):
        for child in node.entries.values():
            _sync(child)
        node.sync()
    elif isinstance(node, File):
        node.sync()


def _write(folder: Folder, to: Path, randomness: Random | None) -> None:
    to.mkdir(parents=True)
    for name, node in folder.left(randomness).items():
        if isinstance(node, Folder):
            _write(node, to / name, randomness)
        elif isinstance(node, File):
            (to / name).write_bytes(node.left(randomness))
            (to / name).chmod(stat.S_IMODE(node.mode))


def _serve(folder: str) -> None:
    os.environ["FUSE_LIBRARY_NAME"] = "fuse3"
    import mfusepy

    mfusepy.FUSE(ForgetfulDisk(), folder, foreground=True, nothreads=True, hard_remove=True)


def _run(folder: str) -> None:
    from lake.commands.line import main

    sync = os.sync

    def sync_and_tell() -> None:
        sync()
        os.setxattr(folder, _SYNC, b"")

    os.sync = sync_and_tell
    main()


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _serve(sys.argv[1])
    else:
        _run(sys.argv.pop(1))
