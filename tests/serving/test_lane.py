"""The lane of predictions: its answers are those of the framework's own way, and so are its refusals."""

from collections.abc import Iterator

import httpx
import pytest

from lake.home import Home
from lake.interface.lane import Lane, OnLane
from lake.interface.reply import Reply
from serving.app import create_app
from serving.prediction import Predictor
from tests.commands import connected, received
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, listening, toy

INFER = f"/v2/models/{USE_CASE}/infer"
REQUEST_ID = {"trainserve-request-id": "00000000-0000-7000-8000-000000000001"}
BODY = records_body(parcel())
HEAD = f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a predictor."""
    home = Home.at(tmp_path_factory.mktemp("lane"))
    Approver(home).release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as url:
        yield url


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the requests that take the lane."""
    paths: list[str] = []
    answer = Lane.answer

    async def noting(lane: Lane, asked: OnLane) -> Reply:
        paths.append(asked.path)
        return await answer(lane, asked)

    monkeypatch.setattr(Lane, "answer", noting)
    return paths


def spoken(url: str, *pieces: bytes) -> bytes:
    """What the server says to these bytes until it closes the connection."""
    with connected(url) as connection:
        for piece in pieces:
            connection.sendall(piece)
        return received(connection)


@pytest.mark.parametrize("path", [PREDICT, INFER, f"/v2/models/{USE_CASE}/versions/9/infer", "/models/nobody/predict"])
@pytest.mark.parametrize("body", [BODY, b"{", b"", b"[" * 20_000], ids=["one row", "no JSON", "nothing", "deep"])
def test_what_takes_the_lane_is_answered_as_what_does_not(url: str, path: str, body: bytes, taken: list[str]) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        fast, routed = (client.post(f"{path}{end}", content=body, headers=REQUEST_ID) for end in ("", "/"))

    assert taken == [path]
    assert (fast.status_code, fast.content) == (routed.status_code, routed.content)
    assert dict(fast.headers) == dict(routed.headers)


@pytest.mark.parametrize("host", ["predictor", "predictor.example:8001", "[::1]:8001", "two words", "a/b", "predictor:port", ""])
def test_hosts_are_judged_alike_on_both_ways(url: str, host: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, headers={"host": host}) as client:
        fast, routed = (client.post(f"{PREDICT}{end}", content=BODY) for end in ("", "/"))

    assert fast.status_code == routed.status_code


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD.replace("HTTP/1.1", "HTTP/1.0").encode() + b"\r\n" + BODY,
        HEAD.replace(PREDICT, f"{PREDICT}?a=b").encode() + b"connection: close\r\n\r\n" + BODY,
        HEAD.encode() + b"expect: 100-continue\r\nconnection: close\r\n\r\n" + BODY,
        f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode()
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        HEAD.replace(PREDICT, PREDICT.replace("m", "%6d", 1)).encode() + b"connection: close\r\n\r\n" + BODY,
    ],
    ids=["HTTP/1.0", "query", "waits for 100", "chunks", "escaped path"],
)
def test_an_unusual_request_is_routed_and_answered(url: str, request_bytes: bytes, taken: list[str]) -> None:
    answer = spoken(url, request_bytes)

    assert b"HTTP/1.1 200 OK\r\n" in answer
    assert b"connection: close\r\n" in answer
    assert taken == []


def test_a_large_body_is_routed(url: str, taken: list[str]) -> None:
    answer = httpx.post(url + PREDICT, content=records_body(*[parcel()] * 2_000), trust_env=False, timeout=30)

    assert (answer.status_code, len(answer.json()["predictions"]), taken) == (200, 2_000, [])


def test_a_body_in_pieces_is_one_request(url: str, taken: list[str]) -> None:
    answer = spoken(url, HEAD.encode() + b"connection: close\r\n", b"\r\n" + BODY[:5], BODY[5:])

    assert (answer.startswith(b"HTTP/1.1 200 OK\r\n"), taken) == (True, [PREDICT])


def test_requests_that_come_at_once_are_answered_in_their_order(url: str, taken: list[str]) -> None:
    first, second, third = (records_body(parcel(), id=name) for name in ("first", "second", "third"))
    heads = [HEAD.replace(str(len(BODY)), str(len(body))).encode() for body in (first, second, third)]

    answer = spoken(
        url, heads[0] + b"\r\n" + first + heads[1] + b"\r\n" + second + heads[2] + b"connection: close\r\n\r\n" + third
    )

    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert answer.index(b'"first"') < answer.index(b'"second"') < answer.index(b'"third"')
    assert taken == [PREDICT], "those behind it wait in the framework's queue"


def test_an_error_that_nobody_foresaw_is_a_problem_there_too(
    home: Home, monkeypatch: pytest.MonkeyPatch, taken: list[str]
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("inner words")

    Approver(home).release(toy())
    monkeypatch.setattr(Predictor, "answer", fails)
    with listening(create_app(home, USE_CASE, "champion")) as url:
        answer = httpx.post(url + PREDICT, content=BODY, trust_env=False)

    assert (answer.status_code, answer.headers["content-type"], taken) == (500, "application/problem+json", [PREDICT])
    assert b"inner words" not in answer.content


def test_other_methods_are_refused_as_ever(url: str) -> None:
    assert httpx.get(url + PREDICT, trust_env=False).status_code == 405
