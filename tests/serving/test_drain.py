"""SIGTERM under load: every request that was sent is answered, nobody new comes in, and the server ends in time."""

import signal
import time
from http.client import HTTPConnection

import httpx
import pytest

from lake.home import Home
from tests.commands import Running, connected, received, running
from tests.proxied import predictions
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy
from tests.steady_clients import SteadyClients


@pytest.fixture
def released(home: Home) -> Home:
    """A home in which a toy is released."""
    Approver(home).release(toy())
    return home


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_under_load_drops_no_request(released: Home, workers: str) -> None:
    with running(released, "predictor", USE_CASE, "--stand-alone", "--workers", workers) as server:
        clients = SteadyClients(server.url)
        eventually(lambda: clients.answered > 300)
        status = server.stop()
        clients.wait()

    assert (status, clients.lost, set(clients.answers)) == (0, [], {200})
    assert set(clients.request_ids) == {row.request_id for row in predictions(released)}, "what was answered is what was logged"


def test_it_is_not_ready_at_once_and_lets_people_in_until_the_delay_is_over(released: Home) -> None:
    with running(released, "predictor", USE_CASE, "--drain-delay-s", "2") as server:
        assert server.get("/health/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.get("/health/ready").status_code == 503, within_s=2)

        assert server.get("/health/ready").json()["alarm"] == "it was told to stop, and answers only who is connected"
        answer = httpx.post(server.url + PREDICT, content=records_body(parcel()), trust_env=False)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(timeout=30) == 0


def test_a_request_whose_body_is_still_coming_is_waited_for(released: Home) -> None:
    body = records_body(parcel())
    with running(released, "predictor", USE_CASE) as server, connected(server.url) as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body[:10])
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _lets_in(server))
        connection.sendall(body[10:])
        answer = received(connection)
        assert server.process.wait(timeout=30) == 0

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer


def test_it_waits_no_longer_than_it_was_told(released: Home) -> None:
    with running(released, "predictor", USE_CASE, "--drain-s", "0.5") as server, connected(server.url) as connection:
        connection.sendall(f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n".encode())
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10  # and not the 20 s that a body may take


def test_an_idle_connection_does_not_hold_it_up(released: Home) -> None:
    with running(released, "predictor", USE_CASE) as server:
        connection = HTTPConnection(server.url.removeprefix("http://"))
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 10  # and not the 75 s that it would be kept
        connection.close()


def test_a_second_signal_ends_it_at_once(released: Home) -> None:
    with running(released, "predictor", USE_CASE, "--drain-delay-s", "60") as server:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: server.get("/health/ready").status_code == 503)
        assert server.stop() == 0


def _lets_in(server: Running) -> bool:
    try:
        with connected(server.url):
            return True
    except ConnectionRefusedError:
        return False
