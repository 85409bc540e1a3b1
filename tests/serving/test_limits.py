"""A client that is slow, silent or endless is cut off with a problem document; a body that is too long is refused."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection

import httpx
import msgspec
import pytest

from lake.home import Home
from lake.interface.settings import ServerSettings
from lake.interface.worker import Worker
from serving.app import create_app
from tests.commands import Running, connected, received, running
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, toy

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A predictor that waits a second for requests, and takes bodies of a thousand bytes."""
    home = Home.at(tmp_path_factory.mktemp("limits"))
    Approver(home).release(toy())
    limits = ("--read-timeout-s", str(TIMEOUT_S), "--keep-alive-s", str(TIMEOUT_S), "--maximum-bytes", "1000")
    with running(home, "predictor", USE_CASE, *limits) as server:
        yield server


def head(length: int | str) -> bytes:
    """The headers of a prediction whose body is so long."""
    return f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()


def refused(answer: bytes) -> tuple[int, str]:
    """The status of a refusal and what it says; asserts that it is a problem document, and the last word."""
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in headers
    assert b"connection: close" in headers
    document = msgspec.json.decode(body)
    assert headers.split()[1] == str(document["status"]).encode()
    return document["status"], document["detail"]


@pytest.mark.parametrize(
    "sent",
    [b"POST ", head(100)[:-2], head(100) + b"{", b"P" * 10, head(100)[:-4] + b"\r\nname"],
    ids=["first line", "headers", "body", "method", "header"],
)
def test_who_sends_a_request_only_in_part_is_told_and_cut_off(server: Running, sent: bytes) -> None:
    with connected(server.url) as connection:
        began = time.monotonic()
        connection.sendall(sent)
        answer = received(connection)
        took_s = time.monotonic() - began

    if sent == b"P" * 10:  # no method: refused at once
        assert answer.startswith(b"HTTP/1.1 400")
        return
    assert refused(answer) == (408, "The request did not come in whole within 1 s.")
    assert took_s >= TIMEOUT_S * 0.9


def test_a_byte_now_and_then_does_not_keep_a_request_alive(server: Running) -> None:
    body = b" " * 500
    with connected(server.url) as connection:
        connection.settimeout(0.1)
        connection.sendall(head(len(body)))
        for sent in range(len(body)):
            try:
                connection.sendall(body[sent : sent + 1])
                answer = connection.recv(65536)
                break
            except TimeoutError:
                continue

    assert refused(answer)[0] == 408
    assert sent < 100


def test_who_connects_and_says_nothing_is_cut_off(server: Running) -> None:
    with connected(server.url) as connection:
        assert received(connection) == b""


def test_a_connection_is_kept_for_a_while_after_an_answer(server: Running) -> None:
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    for _ in range(2):
        connection.request("POST", PREDICT, records_body(parcel()))
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    began = time.monotonic()
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    assert time.monotonic() - began >= TIMEOUT_S * 0.9
    connection.close()


def test_a_slow_request_behind_a_quick_one_on_one_connection_is_cut_off_too(server: Running) -> None:
    body = records_body(parcel())
    with connected(server.url) as connection:
        connection.sendall(head(len(body)) + body + head(100) + b"{")
        first, _, second = received(connection).partition(b"HTTP/1.1 408")

    assert first.startswith(b"HTTP/1.1 200")
    assert refused(b"HTTP/1.1 408" + second)[0] == 408


def test_headers_without_an_end_are_refused(server: Running) -> None:
    with connected(server.url) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        answer = b""
        for _ in range(200):
            try:
                connection.sendall(b"name: " + b"x" * 1000 + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                break
        try:
            answer = received(connection)
        except ConnectionResetError:  # it was closed while we still sent
            answer = b""

    assert answer == b"" or refused(answer) == (431, "The headers are longer than 65,536 bytes.")
    assert 'trainserve_incomplete_requests_total{status="431"} 1.0' in server.get("/metrics").text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_long_is_refused_however_it_comes(server: Running, chunked: bool) -> None:  # noqa: FBT001
    body = b" " * 1001
    content = (body[at : at + 100] for at in range(0, len(body), 100)) if chunked else body
    answer = httpx.post(server.url + PREDICT, content=content, trust_env=False)

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.json()["status"] == 413


def test_a_body_that_was_announced_too_long_is_not_waited_for(server: Running) -> None:
    with connected(server.url) as connection:
        connection.sendall(head(10**9))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_what_was_cut_off_is_counted(server: Running) -> None:
    with connected(server.url) as connection:
        connection.sendall(head(100))
        assert refused(received(connection))[0] == 408
    lines = server.get("/metrics").text.splitlines()

    [counted] = [line for line in lines if line.startswith('trainserve_incomplete_requests_total{status="408"}')]
    assert float(counted.split()[1]) >= 1


def test_the_body_limit_is_the_settings(home: Home) -> None:
    Approver(home).release(toy())
    body = records_body(parcel())
    for limit, status in ((len(body), 200), (len(body) - 1, 413)):
        worker = Worker(ServerSettings(maximum_bytes=limit))
        with Client(create_app(home, USE_CASE, "champion", worker=worker)) as client:
            assert client.post(PREDICT, content=body).status_code == status
