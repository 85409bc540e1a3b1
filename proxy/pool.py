"""The connections to one address: one that is idle is used again, the last one first; without any, one is made."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from lake.interface.bundle import ModelResponse
from lake.interface.messages import REQUEST_ID_HEADER
from proxy.connection import CallFailed, CallTimedOut, Connection, ConnectionStale

_MOST_IDLE = 64
_JSON = "application/json"
_PORTS = {"http": 80, "https": 443}

Method = Literal["GET", "POST"]


class Unreachable(CallFailed):
    """No connection can be made."""


class Pool:
    """The connections to one predictor, at `http://host:port`, `https://host:port` or `unix:///path/of/socket`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._parts = parts = urlsplit(address)
        self._is_socket = parts.scheme == "unix"
        self._host, self._prefix = ("localhost", "") if self._is_socket else (parts.netloc.rpartition("@")[2], parts.path)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._heads: dict[tuple[Method, str, str], bytes] = {}
        self._idle: list[Connection] = []
        self._closed = False

    async def call(
        self,
        method: Method,
        path: str,
        body: bytes,
        request_id: str,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        media_type: str = _JSON,
    ) -> ModelResponse:
        """The response to one request. Raises CallTimedOut, CallFailed.

        A connection that proves to have been closed while it was idle is no failure: the request is sent again, on one
        that is made for it.
        """
        head = self._head(method, path, media_type, request_id, headers) + b"%d\r\n\r\n" % len(body)
        began = time.perf_counter()
        if self._idle:
            try:
                return await self._call(self._idle.pop(), head, body, timeout_s)
            except ConnectionStale:
                timeout_s -= time.perf_counter() - began
        began = time.perf_counter()
        connection = await self._open(timeout_s)
        return await self._call(connection, head, body, timeout_s - (time.perf_counter() - began))

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its call ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _call(self, connection: Connection, head: bytes, body: bytes, timeout_s: float) -> ModelResponse:
        response = await connection.call(head, body, timeout_s)
        if connection.usable and len(self._idle) < _MOST_IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    async def _open(self, timeout_s: float) -> Connection:
        loop, parts = asyncio.get_running_loop(), self._parts
        try:
            async with asyncio.timeout(max(timeout_s, 0)):
                if self._is_socket:
                    return (await loop.create_unix_connection(self._connection, unquote(parts.path)))[1]
                port = parts.port or _PORTS[parts.scheme]
                return (await loop.create_connection(self._connection, parts.hostname or "", port, ssl=self._tls))[1]
        except TimeoutError as error:
            raise CallTimedOut(self._address, "no connection can be made in time") from error
        except OSError as error:
            raise Unreachable(self._address, f"no connection can be made ({error.strerror or error})") from error

    def _connection(self) -> Connection:
        return Connection(self._address, self._forget)

    def _forget(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def _head(self, method: Method, path: str, media_type: str, request_id: str, headers: Mapping[str, str] | None) -> bytes:
        """The head of a request up to its length; all but its id is the same each time, unless it has headers of its own."""
        head = self._heads.get((method, path, media_type))
        if head is None:
            line = f"{method} {quote(self._prefix.rstrip('/') + path)} HTTP/1.1\r\nhost: {self._host}\r\n"
            line += f"content-type: {media_type}\r\n{REQUEST_ID_HEADER}: "
            head = self._heads[method, path, media_type] = line.encode()
        own = "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode("latin-1") if headers else b""
        return b"%b%b%b\r\ncontent-length: " % (head, request_id.encode(), own)
