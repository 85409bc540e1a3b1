"""Listening addresses, taken early and refused clearly."""

import socket

from lake.errors import SettingError


def bind(host: str, port: int, what: str) -> socket.socket:
    """A bound socket. Raises SettingError that names what cannot start when the address is in use."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingError(f"the address of {what}", f"{host}:{port}", f"one that is free ({error.strerror})") from error
    listener.set_inheritable(True)
    return listener
