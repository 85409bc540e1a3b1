"""Receivers of alerts on loopback: a webhook and a mail server, which can go down and come back at the same address."""

import email
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import msgspec

from tests.ports import free_port


class Posted(NamedTuple):
    """A request that a webhook got."""

    path: str
    headers: Mapping[str, str]
    body: Any


class Hook:
    """A webhook; `statuses` are what it answers with, the last one for good."""

    def __init__(self, statuses: list[int] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.statuses = statuses or [200]
        self.posted: list[Posted] = []

    @contextmanager
    def up(self) -> Iterator[Self]:
        """Listen for as long as this lasts."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                hook.posted.append(Posted(self.path, headers, msgspec.json.decode(body)))
                self.send_response(hook.statuses.pop(0) if len(hook.statuses) > 1 else hook.statuses[0])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                del format, args

        with _serving(ThreadingHTTPServer(("127.0.0.1", self.port), Handler)):
            yield self


class MailServer:
    """A mail server that takes what is not for one of `refused`; `mails` are those that it took, with who they are for."""

    def __init__(self, *refused: str) -> None:
        self.port = free_port()
        self.mails: list[tuple[list[str], Message]] = []
        self._refused = refused

    @contextmanager
    def up(self) -> Iterator[Self]:
        """Listen for as long as this lasts."""
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                to: list[str] = []
                self._say("220 loopback")
                for line in iter(self.rfile.readline, b""):
                    verb = line.strip().decode().upper()
                    if verb.startswith("RCPT TO:"):
                        address = line.decode().partition("<")[2].partition(">")[0]
                        taken = address not in server._refused
                        to += [address] if taken else []
                        self._say("250 fine" if taken else "550 nobody of that name")
                    elif verb == "DATA":
                        self._say("354 go on")
                        lines = list(iter(self.rfile.readline, b".\r\n"))
                        server.mails.append((to, email.message_from_bytes(b"".join(lines))))
                        to = []
                        self._say("250 taken")
                    elif verb == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 fine")

            def _say(self, words: str) -> None:
                self.wfile.write(f"{words}\r\n".encode())

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        with _serving(Server(("127.0.0.1", self.port), Handler)):
            yield self


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
