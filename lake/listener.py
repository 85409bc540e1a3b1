"""Listening addresses: taken early, refused clearly, and closed so that nobody who was let in is turned away."""

import contextlib
import ctypes
import select
import socket
import struct
from pathlib import Path

from lake.errors import SettingError

_BACKLOG = 2048
_SO_ATTACH_FILTER = 26
# A filter of packets, in the kernel's words: what opens a connection is dropped, all else is taken. At byte 13 of a segment
# stand its flags; 0x12 are SYN and ACK, of which only the first packet of a connection has the first alone.
_NO_NEW_CONNECTIONS = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


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


def bind_unix(path: Path, mode: int, what: str) -> socket.socket:
    """A listening Unix socket, open to whom the mode says; a file that a killed process left there is replaced.

    Raises SettingError where somebody listens there, or where the file is no socket.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
        path.chmod(mode)  # before anybody can connect
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        why = error.strerror or error
        raise SettingError(
            f"the socket of {what}", str(path), f"a path that is free, in a folder that is there ({why})"
        ) from error
    listener.set_inheritable(True)
    return listener


class Door:
    """A listening socket that can be closed so that nobody who came in is turned away. `path` is a Unix socket's own file."""

    def __init__(self, listener: socket.socket, path: Path | None = None) -> None:
        self.listener = listener
        self._path = path

    def refuse_new(self) -> None:
        """From now on nobody new comes in; whoever is connected, accepted or not, is served on. Safe to call twice.

        Only a closed socket refuses, but closing it would also turn away those who wait in it to be accepted. So the kernel
        drops their first packets, which they send again until it is closed; a Unix socket loses its name.
        """
        if self.listener.family == socket.AF_UNIX:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
                self._path = None  # by now another process may listen there
            return
        program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_NEW_CONNECTIONS))
        with contextlib.suppress(OSError):  # without filters in the kernel, who comes in the last instant is turned away
            filtering = struct.pack("HP", len(_NO_NEW_CONNECTIONS), ctypes.addressof(program))
            self.listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filtering)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody is connected who was not accepted yet."""
        return is_readable(self.listener.fileno())


def is_readable(descriptor: int) -> bool:
    """Whether something has come that was not read yet."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(1)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True
