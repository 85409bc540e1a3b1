"""The access log: a line of JSON for each request, written by a thread beside those who answer.

A request never waits for it. When more lines wait than the queue takes, or the file takes none, lines are lost and counted.
"""

import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec.structs import asdict, replace
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from lake.home import now_us
from lake.interface.asked import headers_of
from lake.interface.bundle import ModelRequest, ModelResponse
from lake.interface.messages import REQUEST_ID_HEADER
from lake.interface.trace import trace_id_of, trace_of
from lake.times import rfc3339

STANDARD_OUTPUT = "-"
_QUEUE_LINES = 65_536
_GATHER_S = 0.05

log = structlog.get_logger(__name__)


class Line(msgspec.Struct, gc=False):
    """One request. `status` is null when its client was gone before it was answered."""

    at_us: int
    method: str
    path: str
    status: int | None
    latency_us: int
    request_id: str | None
    client_id: str | None
    trace_id: str | None


class AccessLog:
    """Where lines are handed over. `lost` counts those that were not written."""

    def __init__(self, path: str, queue_lines: int = _QUEUE_LINES) -> None:
        self.lost = 0
        self._path = path
        self._queue_lines = queue_lines
        self._queue: SimpleQueue[Line | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="access log", daemon=True)

    def start(self) -> None:
        """Begin to write. Raises OSError when the file cannot be opened."""
        self._write(b"")
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()

    def note(self, line: Line) -> None:
        """Hand over a line; never waits."""
        if self._queue.qsize() < self._queue_lines:
            self._queue.put(line)
        else:
            self.lost += 1

    def note_request(
        self, method: str, path: str, status: int | None, started: float, headers: Mapping[str, str], known: Mapping[str, Any]
    ) -> None:
        """Hand over the line of a request that began at this reading of `time.perf_counter`, or the lines of a bundle.

        `known` is what handlers have learnt of it: `request_id`, `client_id`, `bundle`.
        """
        trace = trace_of(headers)
        line = Line(
            at_us=now_us(),
            method=method,
            path=path,
            status=status,
            latency_us=int((time.perf_counter() - started) * 1_000_000),
            request_id=known.get("request_id") or headers.get(REQUEST_ID_HEADER),
            client_id=known.get("client_id"),
            trace_id=None if trace is None else trace.trace_id,
        )
        for one in _of_a_bundle(line, known.get("bundle", ())) or [line]:
            self.note(one)

    def collect(self) -> Iterable[Metric]:
        """How many lines were lost."""
        yield CounterMetricFamily("trainserve_access_log_lost", "Lines of the access log that were lost", value=self.lost)

    def _write_all(self) -> None:
        going_on, failing = True, False
        while going_on:
            lines = [self._queue.get()]
            if lines[0] is not None:
                time.sleep(_GATHER_S)  # many lines are written at once: the thread wakes seldom
            lines += [self._queue.get() for _ in range(self._queue.qsize())]
            going_on = None not in lines
            written = [line for line in lines if line is not None]
            try:
                self._write(b"".join(map(_encoded, written)))
                failing = False
            except OSError as error:
                self.lost += len(written)
                if not failing:
                    log.warning("the access log cannot be written, its lines are lost", file=self._path, error=str(error))
                failing = True

    def _write(self, text: bytes) -> None:
        """Append to the file, which is opened each time: it may have been moved away to be kept."""
        if self._path == STANDARD_OUTPUT:
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            return
        with Path(self._path).open("ab", buffering=0) as file:
            file.write(text)


class AccessLogged:
    """An application whose requests are noted; handlers put what they learn of a request into the state of its scope."""

    def __init__(self, app: ASGIApp, access_log: AccessLog) -> None:
        self._app = app
        self._log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then note."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), None

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            headers = headers_of(scope["headers"])
            self._log.note_request(scope["method"], scope["path"], status, started, headers, scope["state"])


def _of_a_bundle(line: Line, bundle: Sequence[tuple[ModelRequest, ModelResponse]]) -> list[Line]:
    """A line for each request of a bundle, as if it had come alone."""
    return [
        replace(
            line,
            path=request.path,
            status=response.status,
            request_id=request.request_id,
            trace_id=trace_id_of(request.trace_headers or {}),
        )
        for request, response in bundle
    ]


def _encoded(line: Line) -> bytes:
    members: dict[str, Any] = asdict(line)
    moment = datetime.fromtimestamp(members.pop("at_us") / 1_000_000, timezone.utc)
    return msgspec.json.encode({"at_utc": rfc3339(moment), **members}) + b"\n"
