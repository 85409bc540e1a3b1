"""One connection: uvicorn's protocol, with an end to requests that come in slowly, and to connections while the server leaves.

A request that comes whole in one piece, as nearly all do, costs no timer.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from lake.interface.access_log import AccessLog
from lake.interface.lane import Lane, OnLane
from lake.interface.problems import MEDIA_TYPE, Refused, problem_document
from lake.interface.reply import Reply
from lake.interface.settings import ServerSettings
from lake.listener import is_readable

LONGEST_HEAD_BYTES = 64 * 1024
# A client that sends its next request within so long after its last answer is not cut off by a server that leaves.
LINGER_S = 1.0
_INTERIM = b"HTTP/1.1 1"  # 100 (Continue), before the response


class Connections(ServerState):
    """What all connections of a server share. While it is `leaving`, each ends with its next answer.

    Requests that its `lane` takes are noted in the access log here.
    """

    def __init__(self, settings: ServerSettings, lane: Lane | None = None, access_log: AccessLog | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.lane = lane
        self.access_log = access_log
        self.leaving = False
        self.refused: Counter[HTTPStatus] = Counter()

    def collect(self) -> Iterable[Metric]:
        """How many there are, and how many requests were refused before they were whole."""
        yield GaugeMetricFamily("trainserve_connections", "Connections of clients", value=len(self.connections))
        refused = CounterMetricFamily(
            "trainserve_incomplete_requests", "Requests that were refused before they had come in whole", labels=["status"]
        )
        for status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE):
            refused.add_metric([str(int(status))], self.refused[status])
        yield refused


class _HeadWithBody:
    """The transport of one response: its head waits for the first of its body, so that both cost one call of the system."""

    __slots__ = ("_head", "_head_is_sent", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._head_is_sent = False

    def write(self, data: bytes) -> None:
        """Send it, or keep it where it is the head."""
        if self._head_is_sent or data.startswith(_INTERIM):
            self._transport.write(data)
        elif not self._head:
            self._head = data
        else:
            self._head_is_sent = True
            self._transport.write(self._head + data)

    def close(self) -> None:
        """Send a head that no body followed, and end."""
        if self._head and not self._head_is_sent:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it ends."""
        return self._transport.is_closing()


class Protocol(HttpToolsProtocol):
    """A connection that ends when its client is too slow, or silent for too long, or when the server leaves."""

    def __init__(
        self,
        config: Config,
        server_state: Connections,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._shared = server_state
        self._incomplete = False  # the beginning of a request is here, and not its end
        self._in_head = False
        self._head_bytes = 0
        self._on_lane: OnLane | None = None  # whose body is still coming
        self._too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; a client that sends nothing is not waited for longer than for the rest of a request."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self._shared.settings.read_timeout_s, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._forget_deadline()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came. If a request is still not whole, it has from its beginning on only so long."""
        super().data_received(data)
        if not self._incomplete or self.transport.is_closing():
            return
        if self._too_slow is None:
            self._too_slow = self.loop.call_later(self._shared.settings.read_timeout_s, self._give_up)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > LONGEST_HEAD_BYTES:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(Refused(status, f"The headers are longer than {LONGEST_HEAD_BYTES:,} bytes."))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._incomplete = self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """All but the body; the request is handed to the application."""
        self._in_head = False
        if not self._takes_lane():
            super().on_headers_complete()
            if self.scope["method"] != "HEAD":  # which has no body to wait for
                self.cycle.transport = _HeadWithBody(self.transport)  # type: ignore[assignment]  # all of a transport that a cycle calls
        if self._shared.leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._incomplete = False
        if self._too_slow is not None:
            self._forget_deadline()
        super().on_message_complete()
        if self._on_lane is not None:
            self._start(self._on_lane)
            self._on_lane = None

    def shutdown(self) -> None:
        """The server leaves: end with the answer that is due, or, where none is, when no request comes any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif not self._incomplete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(LINGER_S, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came for too long: end, unless a request arrives in this very moment."""
        if not self.transport.is_closing() and not is_readable(self.transport.get_extra_info("socket").fileno()):
            self.transport.close()

    def _takes_lane(self) -> bool:
        """Whether the request whose head has come goes over the lane: it then is the cycle."""
        lane = self._shared.lane
        if lane is None or self.parser.get_http_version() != "1.1":
            return False
        if self.cycle is not None and not self.cycle.response_complete:  # one after the other
            return False
        self._on_lane = asked = lane.find(self.parser.get_method(), self.url, self.headers)
        if asked is None:
            return False
        asked.keep_alive = self.parser.should_keep_alive()
        self.cycle = asked  # type: ignore[assignment]  # it has all that is asked of a cycle here
        return True

    def _start(self, asked: OnLane) -> None:
        if self._shared.lane is not None and not asked.disconnected:
            task = self.loop.create_task(self._answer(self._shared.lane, asked))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    async def _answer(self, lane: Lane, asked: OnLane) -> None:
        started, status = time.perf_counter(), None
        try:
            reply = await lane.answer(asked)
            if self.flow.write_paused:
                await self.flow.drain()
            if not (asked.disconnected or self.transport.is_closing()):
                status = reply.status
                self.transport.write(_head(reply, asked.keep_alive) + reply.content)
        finally:
            asked.response_started = asked.response_complete = True
            if status is None or not asked.keep_alive:
                self.transport.close()
            if self._shared.access_log is not None:
                self._shared.access_log.note_request("POST", asked.path, status, started, asked.headers, asked.known)
        self.on_response_complete()

    def _give_up(self) -> None:
        self._too_slow = None
        if self.pipeline:  # it was not read on, because those before it are still answered
            self._too_slow = self.loop.call_later(self._shared.settings.read_timeout_s, self._give_up)
            return
        seconds = self._shared.settings.read_timeout_s
        self._refuse(Refused(HTTPStatus.REQUEST_TIMEOUT, f"The request did not come in whole within {seconds:g} s."))

    def _refuse(self, refusal: Refused) -> None:
        """Answer in the application's place, which may wait for the rest of the request, and end."""
        self._forget_deadline()
        self._shared.refused[refusal.status] += 1
        waiting = None if self._in_head else self.cycle
        if waiting is None or not (waiting.response_started or waiting.disconnected):
            body = msgspec.json.encode(problem_document(refusal))
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[refusal.status] + head.encode() + body)
        if waiting is not None:
            waiting.disconnected = True
            waiting.message_event.set()
        self.transport.close()

    def _forget_deadline(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None


def _head(reply: Reply, keep_alive: bool) -> bytes:  # noqa: FBT001 - what a connection knows of itself
    """The head of a response."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in reply.headers.items()])
    end = "" if keep_alive else "connection: close\r\n"
    head = f"{lines}content-type: {reply.media_type}\r\ncontent-length: {len(reply.content)}\r\n{end}\r\n"
    return STATUS_LINE[reply.status] + head.encode("latin-1")
