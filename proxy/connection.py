"""One HTTP/1.1 connection to a predictor: a request goes out, and the whole response comes back, or an error says why not.

It does what this one hop needs: no redirects, no cookies, no pipelining, no upgrades. Whatever bytes come, and wherever they
are cut, a call ends by its time, and a body that is not known to be whole is never given: one that would end where the
connection does is refused. A connection is used again only after a response that left nothing open.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lake.errors import Unavailable
from lake.interface.bundle import ModelResponse

GREATEST_BODY_BYTES = 32 * 1024 * 1024

_FINAL = 200  # statuses below are announcements of the response that follows


class CallFailed(Unavailable):
    """A predictor gave no whole response."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"The predictor at {address}", why)


class CallTimedOut(CallFailed):
    """A predictor gave no whole response in time."""


class ConnectionStale(CallFailed):
    """The connection was used before, and ended before the first byte of the response: most likely it was idle for too long."""


class Connection(asyncio.Protocol):
    """A connection that is made by `loop.create_connection`, for one call at a time.

    `on_lost` is called once, when it is of no use any more.
    """

    def __init__(self, address: str, on_lost: Callable[["Connection"], None]) -> None:
        self._address = address
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[ModelResponse] | None = None
        self._calls = 0
        self._begun = False  # some byte of the response has come
        self._whole = False  # the last byte has, and the connection stays open
        self._parts: list[bytes] = []
        self._size = 0
        self._lost = False

    @property
    def usable(self) -> bool:
        """Whether it can take a call."""
        return not self._lost and (self._whole or self._calls == 0)

    async def call(self, head: bytes, body: bytes, timeout_s: float) -> ModelResponse:
        """Send a request and wait for its response.

        Raises CallTimedOut, ConnectionStale, CallFailed. Unless the response was whole, and also when the caller is
        cancelled, the connection is closed.
        """
        if self._lost or self._transport is None:
            raise (ConnectionStale if self._calls else CallFailed)(self._address, "it closed the connection")
        waiter: asyncio.Future[ModelResponse] = self._loop.create_future()
        self._waiter = waiter
        self._calls += 1
        self._begun = self._whole = False
        timer = self._loop.call_later(max(timeout_s, 0), self._time_out)
        self._transport.write(head + body)
        whole = False
        try:
            response = await waiter
            whole = self._whole
            return response
        finally:
            timer.cancel()
            self._waiter = None
            if not whole:
                self.close()

    def close(self) -> None:
        """Close it at once."""
        self._whole = False
        if self._transport is not None:
            self._transport.abort()
        self._is_lost()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop: the predictor closed the connection, or it broke."""
        how = f"it broke the connection ({exc})" if exc else "it closed the connection"
        if self._calls > 1 and not self._begun:
            self._fail(ConnectionStale(self._address, how))
        else:
            self._fail(CallFailed(self._address, f"{how} before its response was whole"))
        self._is_lost()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._waiter is None:
            self.close()  # nobody asked
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(CallFailed(self._address, f"what it sent is no HTTP response ({error or type(error).__name__})"))
            self.close()

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._waiter is None or self._waiter.done():
            self.close()  # a response that nobody asked for follows the one that somebody did
        self._parts, self._size = [], 0

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        self._size += len(part)
        if self._size > GREATEST_BODY_BYTES:
            self._fail(CallFailed(self._address, f"its response is longer than {GREATEST_BODY_BYTES:,} bytes"))
        else:
            self._parts.append(part)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if status < _FINAL or self._waiter is None or self._waiter.done():
            return
        self._whole = self._parser.should_keep_alive() and not self._lost
        parts = self._parts
        self._waiter.set_result(ModelResponse(status, parts[0] if len(parts) == 1 else b"".join(parts)))

    def _time_out(self) -> None:
        self._fail(CallTimedOut(self._address, "it gave no whole response in time"))

    def _fail(self, error: CallFailed) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
            self.close()  # all else that comes is of no use

    def _is_lost(self) -> None:
        if not self._lost:
            self._lost = True
            self._on_lost(self)
