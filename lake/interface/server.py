"""Runs an application on uvicorn."""

import socket

import uvicorn
from litestar import Litestar

_GRACEFUL_STOP_S = 30


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
        proxy_headers=False,  # nothing here goes by the address that a client claims
        timeout_graceful_shutdown=_GRACEFUL_STOP_S,
    )
    uvicorn.Server(config).run(sockets=[listener])
