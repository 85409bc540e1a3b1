"""Listening addresses, taken early and refused clearly."""

import socket

from lake.errors import SettingError

_BACKLOG = 2048


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket. Raises SettingError that names what cannot start when the address is in use.

    It listens at once: an address that is only bound can be bound by another process too.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingError(f"the address of {what}", f"{host}:{port}", f"one that is free ({why})") from error
    listener.set_inheritable(True)
    return listener
