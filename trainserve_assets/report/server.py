"""The server of reports: reads the lake, writes and keeps nothing, gives out files of evaluations and pages of expectations."""

from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from lake.documents import DocumentStore
from lake.errors import NotFound, TrainServeError, Unavailable, VerificationError
from lake.evaluation import evaluations
from lake.listener import bind
from trainserve_assets.report.expectations import pages_of, read_expectations
from trainserve_assets.report.files import CONTENT_TYPES, REPORT, folder_of, read_file, read_page, stored
from trainserve_assets.report.templating import html_template

LIVE = "/health/live"
_PARTS, _PARTS_OF_EXPECTATIONS = 4, 3
_TEXT = "text/plain; charset=utf-8"
_HTML = CONTENT_TYPES["report.html"]
# A page may style itself and show pictures that it carries; it may load, run, send and frame nothing.
_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATUSES: Mapping[type[TrainServeError], HTTPStatus] = {
    NotFound: HTTPStatus.NOT_FOUND,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    VerificationError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_log = structlog.get_logger()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request gets."""

    body: bytes
    content_type: str
    status: HTTPStatus = HTTPStatus.OK


class ReportServer(ThreadingHTTPServer):
    """Listens as soon as it is made. Raises SettingError when the address is in use."""

    daemon_threads = True

    def __init__(self, lake: str, host: str, port: int) -> None:
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bind(host, port, "the reports (choose another with --port)")
        self.server_address = self.socket.getsockname()
        self.store = DocumentStore(lake)


def answer(store: DocumentStore, path: str) -> Answer:
    """What stands at a path, which is taken as it was sent: nothing is decoded, so nothing can lead elsewhere."""
    try:
        if path == LIVE:
            return Answer(body=b"live\n", content_type=_TEXT)
        if path == "/":
            return Answer(body=_index(store).encode(), content_type=_HTML)
        parts = path.removeprefix("/").split("/")
        if len(parts) == _PARTS_OF_EXPECTATIONS and parts[1] == "expectations":
            return Answer(body=read_expectations(store, parts[0], parts[2]), content_type=_HTML)
        if len(parts) != _PARTS or parts[1] != "evaluations":
            raise NotFound("page", path, "The index is at /.")
        use_case, _, evaluation_id, name = parts
        read = read_page(store, use_case, evaluation_id) if name == REPORT else read_file(store, use_case, evaluation_id, name)
        return Answer(body=read, content_type=CONTENT_TYPES[name])
    except tuple(_STATUSES) as error:
        return Answer(body=f"{error}\n".encode(), content_type=_TEXT, status=_STATUSES[type(error)])


def _index(store: DocumentStore) -> str:
    """The evaluations of each use case that have files, newest first, and the pages of expectations."""
    listing: dict[str, list[dict[str, Any]]] = {}
    tables: dict[str, list[str]] = {}
    for use_case in store.folders():
        if pages := pages_of(store, use_case):
            tables[use_case] = pages
        known = stored(store, use_case)
        if known:
            rows = evaluations(store.root, use_case).reverse().unique("evaluation_id", keep="first", maintain_order=True)
            listing[use_case] = [
                {**row, "folder": folder_of(use_case, row["evaluation_id"])}
                for row in rows.iter_rows(named=True)
                if row["evaluation_id"] in known
            ]
    return html_template("index.html.j2").render(listing=listing, tables=tables)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD; what else there is in HTTP is answered by 501."""

    server: ReportServer
    timeout = 30

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        return "trainserve-reports"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        _log.info("request", client=self.client_address[0], line=format % args)

    def _answer(self, *, with_body: bool) -> None:
        found = answer(self.server.store, urlsplit(self.path).path)
        self.send_response(found.status)
        self.send_header("Content-Type", found.content_type)
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(found.body)
