"""The settings of a server, the same for predictor and proxy: read once, at the start, from options or the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lake.decoder import MAXIMUM_ROWS
from lake.errors import SettingError

_MOST_WORKERS = 64


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """How requests come in, how many processes answer them, and how they end. A dataclass: the command line reads it.

    Parameters
    ----------
    workers
        How many processes answer; one that dies is started again.
    unix_socket
        Listen on this Unix socket, not on host and port.
    unix_socket_mode
        Who may connect to it, as chmod has it.
    admin_host
        The address of the admin port.
    admin_port
        The port for health, metrics and parameters, which the other then has no more; 0: they stand on the same.
    maximum_rows
        The most rows of one request; one with more is refused, with 400.
    maximum_bytes
        The most bytes of one request; one with more is refused unread, with 413.
    maximum_in_flight
        The most requests for predictions that a worker has under way; one more is turned away, with 503.
    read_timeout_s
        In how many seconds a request must have come in, from its first byte to its last.
    keep_alive_s
        For how many seconds a connection without a request is kept.
    drain_delay_s
        For how many seconds after SIGTERM it goes on as before, only not ready, so that a balancer takes it out.
    drain_s
        For how many seconds more the requests in flight may take.
    access_log
        The file that has a line for each request, as JSON; - is the standard output.

    """

    workers: Annotated[int, Parameter(env_var="TRAINSERVE_WORKERS")] = 1
    unix_socket: Path | None = None
    unix_socket_mode: Annotated[str, Parameter(env_var="TRAINSERVE_UNIX_SOCKET_MODE")] = "660"
    admin_host: Annotated[str, Parameter(env_var="TRAINSERVE_ADMIN_HOST")] = "127.0.0.1"
    admin_port: int = 0
    maximum_rows: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_ROWS")] = MAXIMUM_ROWS
    maximum_bytes: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_BYTES")] = 10_000_000
    maximum_in_flight: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_IN_FLIGHT")] = 2_048
    read_timeout_s: Annotated[float, Parameter(env_var="TRAINSERVE_READ_TIMEOUT_S")] = 20.0
    keep_alive_s: Annotated[float, Parameter(env_var="TRAINSERVE_KEEP_ALIVE_S")] = 75.0
    drain_delay_s: Annotated[float, Parameter(env_var="TRAINSERVE_DRAIN_DELAY_S")] = 0.0
    drain_s: Annotated[float, Parameter(env_var="TRAINSERVE_DRAIN_S")] = 30.0
    access_log: Annotated[str | None, Parameter(env_var="TRAINSERVE_ACCESS_LOG", allow_leading_hyphen=True)] = None

    def check(self) -> None:
        """Raises SettingError for the first setting that cannot be used."""
        if not 1 <= self.workers <= _MOST_WORKERS:
            raise SettingError("workers", self.workers, f"1 to {_MOST_WORKERS}")
        for name in ("maximum_rows", "maximum_bytes", "maximum_in_flight"):
            if (found := getattr(self, name)) < 1:
                raise SettingError(name, found, "1 or more")
        least: Mapping[str, float] = {"read_timeout_s": 0.001, "keep_alive_s": 0.001, "drain_delay_s": 0, "drain_s": 0}
        for name, bound in least.items():
            if not bound <= (found := getattr(self, name)) < float("inf"):
                raise SettingError(name, found, f"seconds, {'more than 0' if bound else '0 or more'}")
        _ = self.socket_mode

    @property
    def socket_mode(self) -> int:
        """The mode of the Unix socket. Raises SettingError."""
        try:
            mode = int(self.unix_socket_mode, 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o777:  # noqa: PLR2004 - all that a mode of permissions can be
            raise SettingError("unix_socket_mode", self.unix_socket_mode, "a mode as chmod has it, as 660")
        return mode
