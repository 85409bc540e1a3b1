"""The command `trainserve` as a process of its own, as an operator starts it, and a client that sees every byte."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from lake.home import Home
from tests.ports import free_port
from tests.served import eventually


class Running:
    """A server that was started: its process, its address, and what it printed."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, printed: Path) -> None:
        self.process = process
        self.url = url
        self._printed = printed

    @property
    def printed(self) -> str:
        """All that it wrote to its output so far."""
        return self._printed.read_text()

    @property
    def workers(self) -> list[int]:
        """The ids of its processes, apart from the one that was started."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sorted(map(int, found))

    def get(self, path: str) -> httpx.Response:
        """Ask over a connection of its own."""
        return httpx.get(self.url + path, trust_env=False, timeout=30)

    def stop(self) -> int:
        """Ask it to stop, and wait; the status that it ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextmanager
def running(
    home: Home, *command: str, environment: Mapping[str, str] | None = None, port: int | None = None
) -> Iterator[Running]:
    """Start a server of this home on a free port; gives it once it lives. Whatever it started ends with it."""
    port = port or free_port()
    home.logs.mkdir(parents=True, exist_ok=True)
    printed = home.logs / f"{command[0]}-{port}.log"
    with printed.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "lake.commands.line", *command, "--port", str(port)],
            env={**os.environ, **home.environment(), **(environment or {})},
            stdout=output,
            stderr=output,
        )
    server = Running(process, f"http://127.0.0.1:{port}", printed)
    try:
        eventually(lambda: process.poll() is not None or _lives(server), within_s=60)
        assert process.poll() is None, server.printed
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    """A connection, byte for byte."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _lives(server: Running) -> bool:
    try:
        return server.get("/health/live").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
