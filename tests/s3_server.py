"""moto's S3 server as a program of its own, which goes away, comes back and misbehaves as it is told on its standard input.

Of its own, for deltalake holds Python's lock while it waits for some answers: no thread of that process could give them.
It says `ready PORT`, then `done` after each line that it was told, and ends with its standard input.
"""

import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import run_wsgi_app

Answer = tuple[str, list[tuple[str, str]], bytes]
_XML = [("Content-Type", "application/xml")]
_FAILED = b"<Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>"
_NOT_IMPLEMENTED = b"<Error><Code>NotImplemented</Code><Message>A header implies what is not implemented.</Message></Error>"


class Server:
    """The server. While it is away nobody listens at its address; what it holds stays."""

    def __init__(self, misbehaviour: str) -> None:
        self._misbehaviour = misbehaviour
        self._present = True
        self._lose_answer_to: str | None = None
        self._writing = threading.Lock()  # moto looks and writes in two steps; S3 does in one
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._http, self._thread = self._listen(0)
        self.port = self._http.port

    def do(self, command: str, argument: str) -> None:
        """What the test says."""
        match command:
            case "away":
                self._present = False
                self._http.shutdown()
                self._thread.join()
                self._http.server_close()
            case "back":
                self._present = True
                self._http, self._thread = self._listen(self.port)
            case "lose":
                self._lose_answer_to = argument

    def _listen(self, port: int) -> tuple[BaseWSGIServer, threading.Thread]:
        server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=MotoRequestHandler)
        server.daemon_threads = True  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        return server, thread

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not self._present:  # over a connection that was open before
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        status, headers, body = self._answered(environ)
        start(status, headers)
        return [body]

    def _answered(self, environ: dict[str, Any]) -> Answer:
        if environ["REQUEST_METHOD"] not in ("PUT", "POST"):
            return self._asked(environ)
        conditional = "HTTP_IF_NONE_MATCH" in environ
        if conditional and self._misbehaviour == "has no conditional writes":
            return "501 Not Implemented", _XML, _NOT_IMPLEMENTED
        if conditional and self._misbehaviour == "overwrites":
            del environ["HTTP_IF_NONE_MATCH"]
        with self._writing:
            answer = self._asked(environ)
            if conditional and self._lose_answer_to is not None and self._lose_answer_to in environ["PATH_INFO"]:
                self._lose_answer_to = None
                return "500 Internal Server Error", _XML, _FAILED
            return answer

    def _asked(self, environ: dict[str, Any]) -> Answer:
        body, status, headers = run_wsgi_app(self._moto, environ, buffered=True)
        return status, list(headers), b"".join(body)


def main() -> None:
    """Serve until standard input ends."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = Server(*sys.argv[1:])
    print("ready", server.port, flush=True)  # noqa: T201 - it talks to the test
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        server.do(command, argument)
        print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
