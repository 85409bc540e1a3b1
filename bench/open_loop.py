"""A client whose schedule does not depend on the server: each request goes out when it is due, over an idle connection or a new.

It does as little as it can for a request, since it shares the machine with what it measures: the request is one write of bytes
that were made before, and of the response the status and the length are read. A timer of the kernel gives the schedule, as those
of event loops are a millisecond coarse.
"""

import asyncio
import ctypes
import os
import struct
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

_GIVE_UP_S = 30.0
_NONBLOCKING, _ABSOLUTE = 0x800, 1
_NS = 1_000_000_000
_HEAD_END, _LENGTH = b"\r\n\r\n", b"content-length:"


class OpenLoop:
    """So many requests, one at each due moment; `latencies_ms` are counted from it, `late_ms` is how late each was sent."""

    def __init__(self, url: str, body: bytes, rate: float, count: int) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        head = f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self._interval_ns = round(_NS / rate)
        self._count = count
        self._idle: list[_Connection] = []
        self._open_connections: set[_Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._next = 0
        self._ended = 0
        self._began_ns = 0
        self._all_ended = asyncio.Event()
        self.latencies_ms = array("d", bytes(8 * count))
        self.late_ms = array("d", bytes(8 * count))
        self.failed: list[int] = []

    async def run(self) -> None:
        """Send all, and wait until all have ended; those that have not within half a minute have failed."""
        loop = asyncio.get_running_loop()
        with _timer() as timer:
            self._began_ns = time.monotonic_ns() + self._interval_ns
            _set(timer, self._began_ns, self._interval_ns)
            loop.add_reader(timer, self._send_due, timer)
            try:
                span_s = self._count * self._interval_ns / _NS
                async with asyncio.timeout(span_s + _GIVE_UP_S):
                    await self._all_ended.wait()
            except TimeoutError:
                ended = {number for number, latency_ms in enumerate(self.latencies_ms) if latency_ms}
                for number in set(range(self._count)) - ended:
                    self.ended(number, answered=False)
            finally:
                loop.remove_reader(timer)
        for connection in list(self._open_connections):
            connection.close()

    def ended(self, number: int, *, answered: bool, idle: "_Connection | None" = None) -> None:
        """A request has ended; its connection may carry another."""
        self.latencies_ms[number] = self._since_due_ms(number)
        if not answered:
            self.failed.append(number)
        if idle is not None:
            self._idle.append(idle)
        self._ended += 1
        if self._ended == self._count:
            self._all_ended.set()

    def forget(self, connection: "_Connection") -> None:
        """It is closed."""
        self._open_connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _send_due(self, timer: int) -> None:
        """Send as many as have become due since the last time."""
        (due,) = struct.unpack("Q", os.read(timer, 8))
        for number in range(self._next, min(self._next + due, self._count)):
            self._next = number + 1
            if self._idle:
                self._send(number, self._idle.pop())
            else:
                task = asyncio.create_task(self._open(number))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    async def _open(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
        except OSError:
            self.ended(number, answered=False)
        else:
            self._open_connections.add(connection)
            self._send(number, connection)

    def _send(self, number: int, connection: "_Connection") -> None:
        self.late_ms[number] = self._since_due_ms(number)
        connection.send(number, self._request)

    def _since_due_ms(self, number: int) -> float:
        return (time.monotonic_ns() - self._began_ns - number * self._interval_ns) / 1_000_000


class _Connection(asyncio.Protocol):
    """A connection with one request under way at a time."""

    def __init__(self, of: OpenLoop) -> None:
        self._of = of
        self._number: int | None = None
        self._received = b""
        self._transport: asyncio.Transport

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        end = received.find(_HEAD_END)
        if end < 0 or len(received) < end + len(_HEAD_END) + _length(received[:end]):
            self._received = received
            return
        number, self._number, self._received = self._number, None, b""
        if number is not None:
            self._of.ended(number, answered=received.startswith(b"HTTP/1.1 200"), idle=self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._of.forget(self)
        if self._number is not None:
            self._of.ended(self._number, answered=False)


def _length(head: bytes) -> int:
    """How long the body is."""
    _, _, rest = head.lower().partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0] or 0)


@contextmanager
def _timer() -> Iterator[int]:
    """A timer of the kernel, as a file that is readable when it has run out."""
    timer = _libc().timerfd_create(time.CLOCK_MONOTONIC, _NONBLOCKING)
    if timer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        yield timer
    finally:
        os.close(timer)


def _set(timer: int, first_ns: int, interval_ns: int) -> None:
    """Let it run out at a moment, and again after each interval."""
    setting = struct.pack("4q", *divmod(interval_ns, _NS), *divmod(first_ns, _NS))
    if _libc().timerfd_settime(timer, _ABSOLUTE, setting, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
