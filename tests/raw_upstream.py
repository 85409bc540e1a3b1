"""A predictor made of bytes: what it does on a connection is written out, byte for byte and pause for pause."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Literal

from lake.interface.messages import REQUEST_ID_HEADER
from tests.proxied import answered

Behaviour = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection, seen from the predictor; `number` counts them from 1."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[bytes, bytes]:
        """The next request: head and body. Raises IncompleteReadError when there is none."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        return head, await self._reader.readexactly(int(length.partition(b":")[2]))

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces, each for itself."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def closed(self) -> None:
        """Wait until the other side has closed the connection."""
        while await self._reader.read(65_536):
            pass

    def reset(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()


def response(body: bytes, status: int = 200, *headers: str) -> bytes:
    """A whole response with its length."""
    lines = (f"HTTP/1.1 {status} Some", f"content-length: {len(body)}", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def raw_upstream(behaviour: Behaviour, path: str | None = None) -> AsyncIterator[str]:
    """Serve, on loopback or on a socket at this path; gives the address. After its behaviour a connection is closed."""
    tasks: set[asyncio.Task[None]] = set()
    number = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await behaviour(Peer(number, reader, writer))
        finally:
            tasks.discard(task)
            writer.close()

    if path is None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server, address = await asyncio.start_unix_server(serve, path), f"unix://{path}"
    try:
        yield address
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def raw_server(behaviour: Behaviour, path: str | None = None) -> Iterator[str]:
    """The same, in a thread with a loop of its own; gives the address."""
    started, address = threading.Event(), ""
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def run() -> None:
        nonlocal address
        async with raw_upstream(behaviour, path) as address:
            started.set()
            await stopping.wait()

    def serve() -> None:
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=serve, name="raw server")
    thread.start()
    assert started.wait(20)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(20)


Mode = Literal["good", "hang", "reset", "half", "slow", "500", "garbage", "not json", "400"]
CHAOS: tuple[Mode, ...] = ("hang", "reset", "half", "slow", "500", "garbage", "not json")


class Chaos:
    """A predictor of a package that behaves as `mode` says, from one request to the next.

    `asked` counts the requests by mode; so many are `under_way`, and were together at `most_at_once`.
    """

    def __init__(self, package_digest: str, mode: Mode = "good", arm: str = "champion") -> None:
        self.mode = mode
        self.asked: Counter[Mode] = Counter()
        self.most_at_once = 0
        self.under_way = 0
        self._digest = package_digest
        self._arm = arm

    async def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        while True:
            head, _ = await peer.request()
            self.asked[self.mode] += 1
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
            try:
                if not await self._answered(peer, head):
                    return
            finally:
                self.under_way -= 1

    async def _answered(self, peer: Peer, head: bytes) -> bool:
        """Answer a request in this mode; False when the connection is to be closed."""
        [line] = [line for line in head.decode().split("\r\n") if line.startswith(REQUEST_ID_HEADER)]
        whole = response(answered(line.partition(": ")[2], self._digest, [0.5], self._arm))
        match self.mode:
            case "good":
                await peer.send(whole)
            case "hang":
                await peer.closed()
            case "half":
                await peer.send(whole[: len(whole) // 2])
                return False
            case "slow":
                for byte in whole:
                    await peer.send(bytes([byte]))
                    await asyncio.sleep(0.05)
            case "400" | "500":
                await peer.send(response(b"{}", int(self.mode)))
            case "garbage":
                await peer.send(b"\x00\xffgarbage\r\n\r\n" * 10)
                return False
            case "not json":
                await peer.send(response(b"<html>"))
            case _:
                peer.reset()
                return False
        return self.mode != "hang"
