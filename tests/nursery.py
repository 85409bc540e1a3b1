"""A nursery: starts commands of ours at once, forked from a process that has imported all that they need.

A test that kills a thousand processes would else spend its time on their imports. A child is a process of its own, with its
own session and signals, and runs the command from its first line; it ends when the nursery does.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1


class Child:
    """A process of the nursery."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def is_alive(self) -> bool:
        """Whether it runs."""
        return not select.select([self._handle], [], [], 0)[0]

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it has ended. Nothing happens to one that has."""
        if self.is_alive():
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            select.select([self._handle], [], [])

    def close(self) -> None:
        """Forget it."""
        os.close(self._handle)


class Nursery:
    """Starts commands. Use as a context manager; `hours` set the clock of those that are started from then on."""

    def __init__(self, logs: Path) -> None:
        self.hours = 0.0
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start `trainserve` with these arguments; what it prints goes to a log of its name. Not for two threads at once."""
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "log": str(self._logs / f"{name}.log"),
            "hours": self.hours,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


def _serve() -> None:
    """Fork a child for each order that is read, and tell its process id."""
    import serving.command  # noqa: F401 - all that a child needs is imported here, once

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody collects the children but the kernel
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(order["arguments"], order["environment"], Path(order["log"]), order["hours"])
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _live(arguments: list[str], environment: dict[str, str], log: Path, hours: float) -> None:
    """Be the command, from its first line to its last. Does not return."""
    import time_machine

    from lake.commands import line

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for handle, number in ((nothing, 0), (printed, 1), (printed, 2)):
        os.dup2(handle, number)
    os.environ.update(environment)
    sys.argv = ["trainserve", *arguments]
    try:
        if hours:
            time_machine.travel(datetime.now(timezone.utc) + timedelta(hours=hours), tick=True).start()
        line.main()
    finally:
        os._exit(1)


if __name__ == "__main__":
    _serve()
