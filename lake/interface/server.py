"""Runs an application on uvicorn, with its start-up and stop as one line each in a structured log."""

import logging
import os
import socket
import sys

import structlog
import uvicorn
from litestar import Litestar

from lake.errors import SettingError

_GRACEFUL_STOP_S = 30


def configure_logging() -> None:
    """Structured lines on stderr: words for a person, JSON for a machine that sets TRAINSERVE_LOG=json."""
    as_json = os.environ.get("TRAINSERVE_LOG") == "json"
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if as_json else _unchanged,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket. Raises SettingError that says what cannot start when the port is in use."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingError(f"the address of {what}", f"{host}:{port}", f"one that is free ({error.strerror})") from error
    listener.set_inheritable(True)
    return listener


def serve(app: Litestar, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered before it returns."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_GRACEFUL_STOP_S,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _unchanged(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
