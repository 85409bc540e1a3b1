"""Where a server listens: a Unix socket in the place of host and port, and a port of its own for those who run it."""

import socket
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from lake.errors import SettingError
from lake.home import Home
from lake.listener import Door, bind_unix
from tests.commands import running
from tests.ports import free_port
from tests.proxied import NOBODY
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy
from tests.unix import short_folder


def over(path: Path) -> httpx.Client:
    """A client of a Unix socket."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://predictor", timeout=30)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_on_a_unix_socket_and_takes_it_away_at_the_end(home: Home, workers: str) -> None:
    Approver(home).release(toy())
    with short_folder() as folder:
        path, port = folder / "predictor.sock", free_port()
        options = ("--unix-socket", str(path), "--unix-socket-mode", "600", "--workers", workers)
        admin = ("--admin-port", str(port))
        with running(home, "predictor", USE_CASE, *options, *admin, port=port) as server:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with over(path) as client:
                assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
            assert server.stop() == 0
        assert not path.exists()


def test_a_file_that_a_killed_server_left_is_replaced(home: Home) -> None:
    with short_folder() as folder:
        path, port = folder / "predictor.sock", free_port()
        for _ in range(2):
            options = ("--unix-socket", str(path), "--admin-port", str(port))
            with running(home, "predictor", USE_CASE, *options, port=port) as server:
                with over(path) as client:
                    assert client.get("/health/live").status_code == 200
                server.process.kill()
                server.process.wait()
            assert path.is_socket()


def test_a_socket_on_which_somebody_listens_is_left_alone() -> None:
    with short_folder() as folder:
        path = folder / "one.sock"
        with (
            bind_unix(path, 0o600, "one"),
            pytest.raises(SettingError, match=r"the socket of another is '.*one.sock', expected a path that is free"),
        ):
            bind_unix(path, 0o600, "another")
        assert path.is_socket()


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_a_path_that_is_something_else_is_left_alone(make: Callable[[Path], None]) -> None:
    with short_folder() as folder:
        path = folder / "file"
        make(path)
        with pytest.raises(SettingError, match="the socket of a test"):
            bind_unix(path, 0o600, "a test")
        assert path.exists()


def test_whoever_listens_anew_on_the_path_keeps_it() -> None:
    with short_folder() as folder:
        path = folder / "one.sock"
        with bind_unix(path, 0o600, "one") as first:
            door = Door(first, path)
            door.refuse_new()
            with bind_unix(path, 0o600, "two"):
                door.refuse_new()
                assert path.is_socket()


def test_who_waits_at_a_closed_door_is_still_let_in_and_nobody_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as waiting, socket.socket() as late:
            door = Door(listener)
            assert door.is_awaited
            door.refuse_new()
            late.settimeout(0)
            late.connect_ex(address)
            accepted, _ = listener.accept()
            with accepted:
                waiting.sendall(b"still here")
                assert accepted.recv(100) == b"still here"
            assert not door.is_awaited


@pytest.mark.parametrize(
    ("command", "environment", "hidden"),
    [
        (("predictor", USE_CASE), {}, ["/metrics"]),
        (
            ("proxy",),
            {"PROXY_UPSTREAMS": f"{USE_CASE}/champion={NOBODY}"},
            ["/metrics", f"/parameters/{USE_CASE}"],
        ),
    ],
)
def test_with_an_admin_port_clients_see_neither_metrics_nor_parameters(
    home: Home, command: tuple[str, ...], environment: dict[str, str], hidden: list[str]
) -> None:
    Approver(home).release(toy())
    port = free_port()
    with running(home, *command, "--admin-port", str(port), environment=environment) as server:
        admin = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx.get(f"{admin}/health/ready", trust_env=False).status_code == 200)

        assert {server.get(path).status_code for path in hidden} == {404}
        assert {httpx.get(admin + path, trust_env=False).status_code for path in (*hidden, "/health/live")} == {200}
        assert server.get("/health/ready").json() == {"ready": True}
        assert server.get("/v2/health/ready").json() == {"ready": True}
        assert httpx.post(admin + PREDICT, content=records_body(parcel()), trust_env=False).status_code == 404
        assert httpx.get(f"{admin}/schema", trust_env=False).status_code == 200
        assert server.stop() == 0


def test_without_one_they_stand_on_the_same_port(home: Home) -> None:
    with running(home, "predictor", USE_CASE) as server:
        assert server.get("/metrics").status_code == 200
        assert "alarm" in server.get("/health/ready").json()
