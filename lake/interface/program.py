"""How a command becomes a server: it takes its addresses, then answers itself, or has workers that do."""

import os
import socket
from collections.abc import Callable

from lake.interface.settings import ServerSettings
from lake.interface.worker import Application, Place, Worker
from lake.listener import Door, bind, bind_unix


def run(make: Callable[[Worker], Application], host: str, port: int, settings: ServerSettings, what: str) -> None:
    """Serve what `make` gives, until SIGTERM or SIGINT. Raises SettingError for what cannot be listened on."""
    settings.check()
    if (place := Place.find(os.environ)) is not None:
        admin_door = None if place.admin is None else Door(socket.socket(fileno=place.admin))
        _serve(make, Worker(settings, place), Door(socket.socket(fileno=place.listener)), admin_door)
        return
    if settings.unix_socket is None:
        door = Door(bind(host, port, what))
    else:
        door = Door(bind_unix(settings.unix_socket, settings.socket_mode, what), settings.unix_socket)
    try:
        admin_door = None
        if settings.admin_port:
            admin_door = Door(bind(settings.admin_host, settings.admin_port, f"the admin port of {what}"))
        if settings.workers > 1:
            from lake.interface.supervisor import Supervisor

            Supervisor(what, door, admin_door, settings).run()
        else:
            _serve(make, Worker(settings), door, admin_door)
    finally:
        if settings.unix_socket is not None:
            door.refuse_new()  # removes its file, if nobody has yet


def _serve(make: Callable[[Worker], Application], worker: Worker, door: Door, admin_door: Door | None) -> None:
    from lake.interface.access_log import AccessLog
    from lake.interface.server import serve_all

    path = worker.settings.access_log
    access_log = None if path is None else AccessLog(path)
    if access_log is not None:
        worker.measures(access_log.collect)
    serve_all(make(worker), door, admin_door, worker, access_log)
