"""Calls to a predictor: whatever it sends, and wherever that is cut, a call gives a whole response or says why not, in time."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.interface.bundle import ModelResponse as Response
from proxy import connection
from proxy.connection import CallFailed, CallTimedOut
from proxy.pool import Pool
from tests.proxied import NOBODY
from tests.raw_upstream import Behaviour, Peer, raw_upstream, response

IN_TIME_S = 5.0
TOO_LONG_S = 0.2
MARGIN_S = 2.0  # this machine has others to serve


def with_pool(behaviour: Behaviour, use: Callable[[Pool], Awaitable[Any]], path: str | None = None) -> Any:
    """What is made of a pool before a predictor that behaves so. No task and no connection outlives it."""

    async def run() -> Any:
        async with raw_upstream(behaviour, path) as address:
            pool = Pool(address)
            try:
                return await use(pool)
            finally:
                pool.close()

    return uvloop.run(run())


async def ask(pool: Pool, timeout_s: float = IN_TIME_S, body: bytes = b"{}") -> Response:
    return await pool.call("POST", "/models/m/predict", body, "r-1", timeout_s)


def sending(*pieces: bytes, then_wait: bool = False) -> Behaviour:
    """Answers each request with these pieces, then closes the connection, or waits."""

    async def behaviour(peer: Peer) -> None:
        await peer.request()
        await peer.send(*pieces)
        if then_wait:
            await peer.closed()

    return behaviour


async def keep_answering(peer: Peer) -> None:
    while True:
        _, body = await peer.request()
        await peer.send(response(b"%d %b" % (peer.number, body)))


def test_a_request_is_sent_as_it_should_be() -> None:
    seen = []

    async def behaviour(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(response(b"done"))

    assert with_pool(behaviour, lambda pool: ask(pool, body=b'{"a": 1}')) == Response(200, b"done")
    [(head, body)] = seen
    line, *headers, _, _ = head.decode().split("\r\n")
    assert line == "POST /models/m/predict HTTP/1.1"
    assert headers[0].startswith("host: 127.0.0.1:")
    assert headers[1:] == ["content-type: application/json", "trainserve-request-id: r-1", "content-length: 8"]
    assert body == b'{"a": 1}'


def test_a_connection_is_used_again() -> None:
    async def use(pool: Pool) -> list[bytes]:
        return [(await ask(pool, body=body)).body for body in (b"a", b"b", b"c")]

    assert with_pool(keep_answering, use) == [b"1 a", b"1 b", b"1 c"]


def test_calls_at_one_time_have_connections_of_their_own() -> None:
    async def use(pool: Pool) -> set[bytes]:
        answers = await asyncio.gather(*(ask(pool, body=b"%d" % number) for number in range(20)))
        return {answer.body for answer in answers}

    answers = with_pool(keep_answering, use)
    assert {body.split()[0] for body in answers} == {b"%d" % number for number in range(1, 21)}
    assert {body.split()[1] for body in answers} == {b"%d" % number for number in range(20)}


def test_a_socket_in_the_file_system_is_an_address(tmp_path: Path) -> None:
    assert with_pool(keep_answering, ask, str(tmp_path / "predictor.sock")) == Response(200, b"1 {}")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (response(b"whole"), Response(200, b"whole")),
        (response(b"no", 503), Response(503, b"no")),
        (response(b""), Response(200, b"")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"after"), Response(200, b"after")),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 3 + response(b"after"), Response(200, b"after")),
        (response(b"last", 200, "connection: close"), Response(200, b"last")),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold", Response(200, b"old")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;x=y\r\ntwo\r\n0\r\n\r\n", Response(200, b"onetwo")),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-end: 1\r\n\r\n", Response(200, b"a")),
    ],
)
def test_each_way_to_send_a_whole_response_is_understood_wherever_it_is_cut(sent: bytes, expected: Response) -> None:
    for pieces in ([sent], [sent[:cut] for cut in (7,)] + [sent[7:]], [sent[at : at + 1] for at in range(len(sent))]):
        assert with_pool(sending(*pieces, then_wait=True), ask) == expected


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "closed the connection before its response was whole"),
        (response(b"whole")[:-1], "before its response was whole"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "before its response was whole"),
        (b"HTTP/1.1 200 OK\r\n\r\nup to the end", "before its response was whole"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "before its response was whole"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "before its response was whole"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "no HTTP response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP response"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "no HTTP response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", "no HTTP response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!", "no HTTP response"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "no HTTP response",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello\r\n", "no HTTP response"),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", "no HTTP response"),
    ],
)
def test_anything_else_fails_and_says_why(sent: bytes, why: str) -> None:
    with pytest.raises(CallFailed, match=why) as failed:
        with_pool(sending(sent), ask)
    assert not isinstance(failed.value, CallTimedOut)
    assert "The predictor at http://127.0.0.1:" in str(failed.value)


def test_a_response_that_is_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "GREATEST_BODY_BYTES", 1000)
    assert with_pool(sending(response(b"x" * 1000)), ask).body == b"x" * 1000

    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"64\r\n" + b"x" * 100 + b"\r\n"
    for sent in (response(b"x" * 1001), endless + (b"64\r\n" + b"x" * 100 + b"\r\n") * 10):
        with pytest.raises(CallFailed, match="longer than 1,000 bytes"):
            with_pool(sending(sent, then_wait=True), ask)


@pytest.mark.parametrize("kind", ["hang", "half", "slow", "endless head", "endless announcements"])
def test_a_call_ends_by_its_time(kind: str) -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.request()
        if kind == "half":
            await peer.send(response(b"whole")[:-1])
        if kind in ("hang", "half"):
            await peer.closed()
            return
        drop = {"slow": b"x", "endless head": b"x-a: b\r\n", "endless announcements": b"HTTP/1.1 100 Continue\r\n\r\n"}[kind]
        if kind != "endless announcements":
            await peer.send(b"HTTP/1.1 200 OK\r\n" + (b"content-length: 100000\r\n\r\n" if kind == "slow" else b""))
        while True:
            await peer.send(drop)
            await asyncio.sleep(0.01)

    began = time.perf_counter()
    with pytest.raises(CallTimedOut, match="no whole response in time"):
        with_pool(behaviour, lambda pool: ask(pool, TOO_LONG_S))
    assert TOO_LONG_S <= time.perf_counter() - began < TOO_LONG_S + MARGIN_S


def test_a_connection_that_was_closed_while_idle_is_made_anew_and_is_no_failure() -> None:
    async def behaviour(peer: Peer) -> None:
        _, body = await peer.request()
        await peer.send(response(b"%d %b" % (peer.number, body)))
        if peer.number % 2:  # goes just as the next request comes
            await peer.request()
            peer.reset()

    async def use(pool: Pool) -> list[bytes]:
        return [(await ask(pool, body=b"%d" % number)).body for number in range(6)]

    assert [body.split()[1] for body in with_pool(behaviour, use)] == [b"%d" % number for number in range(6)]


def test_a_new_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    connections = 0

    async def behaviour(peer: Peer) -> None:
        nonlocal connections
        connections = peer.number
        await peer.request()
        peer.reset()

    with pytest.raises(CallFailed, match=r"broke the connection|closed the connection"):
        with_pool(behaviour, ask)
    assert connections == 1


def test_nobody_there_is_a_failure() -> None:
    async def use(_pool: Pool) -> None:
        await ask(Pool(NOBODY))

    with pytest.raises(CallFailed, match="no connection can be made"):
        with_pool(keep_answering, use)


def test_who_is_cancelled_leaves_no_connection_behind() -> None:
    closed = asyncio.Event()

    async def behaviour(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.closed()
        closed.set()

    asked = asyncio.Event()

    async def use(pool: Pool) -> None:
        call = asyncio.create_task(ask(pool))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(closed.wait(), IN_TIME_S)

    with_pool(behaviour, use)


def test_what_comes_unasked_is_never_the_answer_to_a_later_request() -> None:
    async def behaviour(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await peer.send(response(body) + response(b"unasked"))

    async def use(pool: Pool) -> list[bytes]:
        return [(await ask(pool, body=b"%d" % number)).body for number in range(4)]

    assert with_pool(behaviour, use) == [b"0", b"1", b"2", b"3"]


WHOLE = response(b'{"predictions": [{"score": 0.5}]}')
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nchunk \r\n4\r\nbody\r\n0\r\n\r\n"


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A response with some bytes changed, taken out or put in."""
    sent = bytearray(draw(st.sampled_from([WHOLE, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, WHOLE + WHOLE])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(sent)))
        sent[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3) | st.sampled_from([b"\r\n", b"0", b":", b" "]))
    return bytes(sent)


@settings(max_examples=300)
@given(sent=st.binary(max_size=200) | mangled(), cuts=st.lists(st.integers(0, 200), max_size=5), closes=st.booleans())
def test_any_bytes_give_a_whole_body_or_a_failure_in_time(sent: bytes, cuts: list[int], closes: bool) -> None:  # noqa: FBT001 - drawn
    edges = sorted({0, len(sent), *(min(cut, len(sent)) for cut in cuts)})
    pieces = [sent[begin:end] for begin, end in pairwise(edges)]
    began = time.perf_counter()
    try:
        given_ = with_pool(sending(*pieces, then_wait=not closes), lambda pool: ask(pool, 0.05))
    except CallFailed:
        assert time.perf_counter() - began < MARGIN_S
    else:
        assert is_whole(sent, given_.body), (sent, given_)


def is_whole(sent: bytes, body: bytes) -> bool:
    """Whether the standard library reads the same body; where it reads none, whether these bytes were sent at all."""
    while announced := re.match(rb"HTTP/1\.[01] 1\d\d.*?\r\n\r\n", sent, re.DOTALL):
        sent = sent[announced.end() :]
    other = HTTPResponse(Sent(sent))  # type: ignore[arg-type] # all that it asks of a socket
    try:
        other.begin()
        return other.read() == body
    except (HTTPException, ValueError):
        return body in sent


class Sent:
    """A socket that has these bytes to give."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


@settings(max_examples=100)
@given(body=st.binary(max_size=400), cut=st.integers(0, 600), chunked=st.booleans())
def test_a_response_that_is_cut_short_gives_no_body(body: bytes, cut: int, chunked: bool) -> None:  # noqa: FBT001 - drawn
    if chunked:
        size = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + size + b"0\r\n\r\n"
    else:
        sent = response(body)
    if cut >= len(sent):
        assert with_pool(sending(sent), ask) == Response(200, body)
        return
    with pytest.raises(CallFailed, match="before its response was whole"):
        with_pool(sending(sent[:cut]), ask)
