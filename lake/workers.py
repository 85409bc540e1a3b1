"""The proxy's workers of one machine, each with what it goes by: a file it rewrites at each change, and a lock while it lives.

So whoever stops something knows which workers have confirmed it, and a worker that was killed is missed by nobody.
"""

import fcntl
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lake.documents import Document, canonical, make_folder, write_file
from lake.home import Home
from lake.times import now_utc, rfc3339


class Confirmed(Document, frozen=True, kw_only=True):
    """What a worker goes by for one use case: the version of the parameters, and what it knows to be stopped on its machine.

    `inactive` and `inactive_arms` are what the parameters themselves switch off.
    """

    version: int
    stopped: bool = False
    stopped_arms: tuple[str, ...] = ()
    refused_version: int | None = None
    inactive: bool = False
    inactive_arms: tuple[str, ...] = ()

    def stops(self, arm: str | None) -> bool:
        """Whether the use case, or this arm of it, is asked nothing any more, for whatever reason."""
        if arm is None:
            return self.stopped or self.inactive
        return arm in self.stopped_arms or arm in self.inactive_arms


class Worker(Document, frozen=True, kw_only=True):
    """One worker, and what it confirmed last."""

    id: str
    host: str
    pid: int
    confirmed_at_utc: str
    use_cases: dict[str, Confirmed]


class Registration:
    """A process among the workers of its machine, from when it is made until it is closed or dies."""

    def __init__(self, home: Home) -> None:
        self.id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._path = home.workers / f"{self.id}.json"
        self._confirmed: dict[str, Confirmed] | None = None
        make_folder(home.workers)
        self._lock = _locked(self._path.with_suffix(".lock"))

    def confirm(self, use_cases: Mapping[str, Confirmed]) -> None:
        """Say what this worker goes by now; written only when it has changed. Raises OSError."""
        confirmed = dict(use_cases)
        if confirmed == self._confirmed:
            return
        worker = Worker(
            id=self.id, host=socket.gethostname(), pid=os.getpid(), confirmed_at_utc=rfc3339(now_utc()), use_cases=confirmed
        )
        write_file(self._path, canonical(worker))
        self._confirmed = confirmed

    def close(self) -> None:
        """Leave."""
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".lock").unlink(missing_ok=True)
        os.close(self._lock)


def count_workers(home: Home) -> int:
    """How many live here: one at least, as somebody asks."""
    return max(1, len(_living(home.workers)))


def read_workers(home: Home) -> list[Worker]:
    """Those that live, by their ids; one that has confirmed nothing yet is among them."""
    return [_read(path) for path in _living(home.workers)]


def _locked(path: Path) -> int:
    """A handle that holds this lock; made again where somebody took its file for that of a dead worker meanwhile."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)


def _living(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.lock")) if _is_held(path)]


def _is_held(path: Path) -> bool:
    """Whether a process that lives has this lock; what a killed one left is cleared away."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # its worker left in this moment
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def _read(lock: Path) -> Worker:
    try:
        return msgspec.json.decode(lock.with_suffix(".json").read_bytes(), type=Worker)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        pid = int(lock.stem.partition("-")[0])
        return Worker(id=lock.stem, host=socket.gethostname(), pid=pid, confirmed_at_utc="", use_cases={})
