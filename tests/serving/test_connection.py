"""What goes over a connection, byte for byte: a head and its body come together, and what has no body is not waited for."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from lake.home import Home
from tests.commands import running
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy

ANSWERS = 100
BODY = records_body(parcel())


@pytest.fixture
def connection(home: Home) -> Iterator[socket.socket]:
    """A connection to a predictor of a released toy."""
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE) as predictor:
        eventually(lambda: predictor.get("/health/ready").status_code == 200)
        address = urlsplit(predictor.url)
        with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connected:
            yield connected


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def body_length(head: bytes) -> int:
    """What a head says of its body."""
    [length] = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(length)


def test_an_answer_comes_in_one_piece(connection: socket.socket) -> None:
    for _ in range(ANSWERS):
        connection.sendall(request("POST", PREDICT, BODY, "content-type: application/json"))
        head, _, body = connection.recv(65_536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert len(body) == body_length(head), "the body came apart from the head"


def test_requests_that_come_together_are_answered_in_turn(connection: socket.socket) -> None:
    one = request("POST", PREDICT, BODY)
    connection.sendall(one + request("GET", "/health/live") + one)
    seen = b""
    while seen.count(b"HTTP/1.1 200") < 3 or not seen.endswith(b"}"):
        seen += connection.recv(65_536)
    assert [part.count(b'"predictions"') for part in seen.split(b"HTTP/1.1 200")[1:]] == [1, 0, 1]


def test_an_answer_without_a_body_is_sent_at_once(connection: socket.socket) -> None:
    connection.sendall(request("HEAD", "/health/live"))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 ")
    connection.sendall(request("OPTIONS", PREDICT))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 ")


def test_who_waits_to_be_told_to_go_on_is_told(connection: socket.socket) -> None:
    whole = request("POST", PREDICT, BODY, "expect: 100-continue")
    connection.sendall(whole.removesuffix(BODY))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
    connection.sendall(BODY)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_server_that_ends_takes_all_down_and_is_silent(home: Home) -> None:
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE) as predictor:
        eventually(lambda: predictor.get("/health/ready").status_code == 200)
        assert predictor.stop() == 0
        assert "leaked" not in predictor.printed, "an extension counts what is still there at the end"
