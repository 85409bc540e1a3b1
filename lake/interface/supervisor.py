"""Starts the workers of a server, starts again those that die, and stops them so that no request is lost.

A worker is this very command, run afresh: nothing is forked that has threads. All of them accept from one socket, which they
inherit, so that what waits in it is lost with none of them. A session of their own keeps signals from them that were meant
for the group of this process, which tells each what it has to know.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time

import msgspec
import structlog

from lake.errors import TrainServeError
from lake.interface.settings import ServerSettings
from lake.interface.worker import VARIABLE, Place
from lake.listener import Door

_PR_SET_PDEATHSIG = 1
_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_LOOK_S = 0.2
_SETTLE_S = 0.1
_BEYOND_DRAIN_S = 10.0  # for what an application does when its last request is answered
# One that dies is started again at once; one that keeps dying waits longer each time.
_RESTART_PAUSE_S = 0.5
_LONGEST_RESTART_PAUSE_S = 10.0
_HEALTHY_AFTER_S = 30.0

log = structlog.get_logger(__name__)


class DidNotStart(TrainServeError):
    """No worker began to answer; they have said why."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what} did not start: a worker ended with status {status} before it answered; it says why above")


class _Child(msgspec.Struct):
    """A worker, when it was started, and how long it waits if it dies."""

    place: Place
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = 0.0


class Supervisor:
    """The workers of one server."""

    def __init__(self, what: str, door: Door, admin_door: Door | None, settings: ServerSettings) -> None:
        self._what = what
        self._doors = [door] if admin_door is None else [door, admin_door]
        self._settings = settings
        self._children: list[_Child] = []
        self._was_ready = False

    def run(self) -> None:
        """Keep the workers until SIGTERM or SIGINT; a second signal ends them at once. Raises DidNotStart."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # they are waited for, not handled
        with tempfile.TemporaryDirectory(prefix="trainserve-") as folder:
            listeners = [door.listener.fileno() for door in self._doors]
            for number in range(1, self._settings.workers + 1):
                admin = listeners[1] if len(listeners) > 1 else None
                place = Place(number=number, of=self._settings.workers, folder=folder, listener=listeners[0], admin=admin)
                self._children.append(_Child(place, self._start(place), time.monotonic()))
            try:
                while not _asked_to_stop(_LOOK_S):
                    self._look()
                self._leave()
            finally:
                self._end()

    def _look(self) -> None:
        """Start again who died. Raises DidNotStart where one ends on its own before any has begun to answer."""
        for child in self._children:
            self._was_ready = self._was_ready or child.place.socket_of(child.place.number).exists()
            status = child.process.poll()
            now = time.monotonic()
            if status is None:
                continue
            if not self._was_ready and status > 0:
                raise DidNotStart(self._what, status)
            if now - child.started >= child.pause_s:
                self._start_again(child, status, now)

    def _start_again(self, child: _Child, status: int, now: float) -> None:
        if now - child.started > _HEALTHY_AFTER_S:
            child.pause_s = 0.0
        child.pause_s = min(max(child.pause_s * 2, _RESTART_PAUSE_S), _LONGEST_RESTART_PAUSE_S)
        child.started = now
        log.warning("a worker ended and is started again", server=self._what, worker=child.place.number, status=status)
        try:
            child.process = self._start(child.place)
        except OSError as error:  # no memory, or no process left: the dead one stays due
            log.warning("a worker could not be started", server=self._what, worker=child.place.number, error=str(error))

    def _start(self, place: Place) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - this very command
            [sys.executable, "-m", "lake.commands.line", *sys.argv[1:]],
            env={**os.environ, VARIABLE: msgspec.json.encode(place).decode()},
            pass_fds=[door.listener.fileno() for door in self._doors],
            start_new_session=True,
            preexec_fn=_begin,  # noqa: PLW1509 - this process has no threads
        )

    def _leave(self) -> None:
        """Let the workers be ready no more; after the delay close the door, and have them answer who is in."""
        self._tell(signal.SIGUSR1)
        until = time.monotonic() + self._settings.drain_delay_s
        while (left := until - time.monotonic()) > 0:
            if _asked_to_stop(left):
                return
        for door in self._doors[:1]:
            door.refuse_new()
        time.sleep(_SETTLE_S)
        self._tell(signal.SIGTERM)
        until = time.monotonic() + self._settings.drain_s + _BEYOND_DRAIN_S
        while self._running() and (left := until - time.monotonic()) > 0:
            if _asked_to_stop(min(left, _LOOK_S)):
                return

    def _end(self) -> None:
        for child in self._running():
            child.process.kill()
            child.process.wait()

    def _tell(self, number: signal.Signals) -> None:
        for child in self._running():
            child.process.send_signal(number)

    def _running(self) -> list[_Child]:
        return [child for child in self._children if child.process.poll() is None]


def _asked_to_stop(within_s: float) -> bool:
    """Wait for a signal; whether it was one to stop."""
    found = signal.sigtimedwait(_WATCHED, within_s)
    return found is not None and found.si_signo != signal.SIGCHLD


def _begin() -> None:
    """In the worker, before its command: end with the supervisor, however that ends, and hear signals again."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
