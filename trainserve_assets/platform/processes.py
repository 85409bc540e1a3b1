"""A group of child processes: started, restarted when they die, and gone when their parent is, however it ends."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

import msgspec

from lake.errors import TrainServeError, Unavailable

_PR_SET_PDEATHSIG = 1
_STOP_S = 45.0  # a server takes up to 40 to answer what it has taken
_LOOK_S = 0.2
# A child that dies is started again at once; one that keeps dying soon after it was started waits longer each time.
_RESTART_PAUSE_S = 0.5
_LONGEST_RESTART_PAUSE_S = 10.0
_HEALTHY_AFTER_S = 30.0
_LOG_TAIL_LINES = 15


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One process: what runs, in which environment, and the address that answers 2xx once it is ready."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    ready_url: str | None = None


class _Child(msgspec.Struct):
    """A child; when it was started, by `time.monotonic`; whether it was ever ready; and how soon it may be started again."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    started: float
    was_ready: bool = False
    pause_s: float = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it has died and may be started again. One that was never ready is not: `start` says why it ended."""
        return self.was_ready and self.process.poll() is not None and time.monotonic() - self.started >= self.pause_s


class DidNotStart(TrainServeError):
    """A process ended or stayed silent instead of becoming ready."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        tail = log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:] if log.exists() else []
        super().__init__(f"{name} did not start: {why}. The end of its log ({log}):\n" + "\n".join(tail))


class Processes:
    """The children of this process. Use as a context manager: all of them are stopped when it is left.

    Children are started by one thread that lives as long as the group, since the kernel ends a child when the very
    thread that started it does (that is what makes them go when this process is killed).
    """

    def __init__(self, logs: Path, on_restart: Callable[[str], None]) -> None:
        self._logs = logs
        self._on_restart = on_restart
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="starter")
        self._running: dict[str, _Child] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, *specs: ProcessSpec, ready_within_s: float = 60.0) -> None:
        """Start these, and return when all are ready. Raises DidNotStart with the end of the log."""
        children = []
        for spec in specs:
            with self._lock:
                child = self._running[spec.name] = _Child(spec, self._spawn(spec), time.monotonic())
            children.append(child)
        deadline = time.monotonic() + ready_within_s
        for child in children:
            self._wait_until_ready(child, deadline)

    def pid(self, name: str) -> int:
        """The process id of a running child."""
        return self._running[name].process.pid

    def stop_one(self, name: str) -> None:
        """Stop one child for good: SIGTERM, and SIGKILL when it has not ended in time."""
        with self._lock:
            child = self._running.pop(name)
        _end([child.process])

    def stop(self) -> None:
        """Stop all, the last started first to be told."""
        self._stopping.set()
        self._watcher.join()
        with self._lock:
            processes = [child.process for child in reversed(self._running.values())]
            self._running.clear()
        _end(processes)
        self._starter.shutdown()

    def _spawn(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        return self._starter.submit(self._spawn_here, spec).result()

    def _spawn_here(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        with self._log(spec.name).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                spec.command,
                env={**os.environ, **spec.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock
            )

    def _wait_until_ready(self, child: _Child, deadline: float) -> None:
        spec = child.spec
        while spec.ready_url is not None and not _answers(spec.ready_url):
            if child.process.poll() is not None:
                raise DidNotStart(spec.name, f"it ended with status {child.process.returncode}", self._log(spec.name))
            if time.monotonic() > deadline:
                raise DidNotStart(spec.name, f"{spec.ready_url} does not answer", self._log(spec.name))
            time.sleep(0.05)
        child.was_ready = True

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            with self._lock:
                due = [child for child in self._running.values() if child.is_due]
            for child in due:
                self._on_restart(f"{child.spec.name} ended with status {child.process.returncode} and is started again")
                with self._lock:
                    if self._running.get(child.spec.name) is child and not self._stopping.is_set():
                        self._restart(child)

    def _restart(self, child: _Child) -> None:
        now = time.monotonic()
        if now - child.started > _HEALTHY_AFTER_S:
            child.pause_s = 0.0
        child.pause_s = min(max(child.pause_s * 2, _RESTART_PAUSE_S), _LONGEST_RESTART_PAUSE_S)
        child.started = now
        try:
            child.process = self._spawn(child.spec)
        except OSError as error:  # no memory, or no process left: the dead one stays due
            self._on_restart(f"{child.spec.name} could not be started: {error}")

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def trainserve_command(*arguments: str) -> tuple[str, ...]:
    """A command of ours, run by this very interpreter."""
    return (sys.executable, "-m", "lake.commands.line", *arguments)


def wait_for(condition: Callable[[], bool], what: str, within_s: float) -> None:
    """Wait until a condition holds. Raises Unavailable after the time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(what, f"it did not happen within {within_s:g} s", "Look into the logs in the home.")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2.0) as response:  # noqa: S310 - an address of ours
            return bool(response.status < 300)  # noqa: PLR2004 - where successes end
    except (HTTPException, OSError):  # of a free port, a connection may even meet itself
        return False


def _end_with_parent() -> None:
    """In the child, before its command. It hears signals, though who runs in the background of a script may ignore them.

    Dagster takes what SIGINT does for SIGTERM too.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """To the whole session of the child: Dagster's servers have children of their own."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        process.poll()
