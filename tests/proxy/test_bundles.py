"""Requests of one moment to one predictor: together where it takes bundles, and each for itself where that does not work."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import uvloop

from lake.interface.bundle import (
    BUNDLE_PATH,
    LARGEST_BODY_BYTES,
    MOST_REQUESTS,
    ModelRequest,
    ModelResponse,
    encode_bundle,
    read_requests,
)
from proxy.bundles import PAUSE_S, Bundles
from proxy.connection import CallFailed, CallTimedOut
from proxy.pool import Pool
from tests.proxied import NOBODY
from tests.raw_upstream import Behaviour, Peer, raw_upstream, response

IN_TIME_S = 5.0

TakeBundle = Callable[[Peer, Sequence[ModelRequest]], Awaitable[None]]


class Recorded:
    """A predictor that echoes bodies; `take_bundle` answers bundles, and `asked` tells how many requests came at once."""

    def __init__(self, take_bundle: TakeBundle) -> None:
        self.asked: list[int] = []
        self._take_bundle = take_bundle

    async def __call__(self, peer: Peer) -> None:
        while True:
            head, body = await peer.request()
            if head.startswith(f"POST {BUNDLE_PATH} ".encode()):
                requests = read_requests(body)
                self.asked.append(len(requests))
                await self._take_bundle(peer, requests)
            else:
                self.asked.append(1)
                await peer.send(response(body))


async def echo(peer: Peer, requests: Sequence[ModelRequest]) -> None:
    await peer.send(response(encode_bundle([ModelResponse(200 + index, one.body) for index, one in enumerate(requests)])))


def with_bundles(behaviour: Behaviour, use: Callable[[Bundles], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with raw_upstream(behaviour) as address:
            pool = Pool(address)
            try:
                return await use(Bundles(pool))
            finally:
                pool.close()

    return uvloop.run(run())


def request(number: int, body: bytes | None = None) -> ModelRequest:
    return ModelRequest("predict", "m", f"r-{number}", b"%d" % number if body is None else body)


def at_once(number: int, timeout_s: float = IN_TIME_S) -> Callable[[Bundles], Awaitable[list[Any]]]:
    """So many requests in one moment: their responses, or their errors."""

    async def ask(bundles: Bundles) -> list[Any]:
        calls = [bundles.call(request(one), timeout_s) for one in range(number)]
        return await asyncio.gather(*calls, return_exceptions=True)

    return ask


def test_requests_of_one_moment_go_as_one_and_each_has_its_own_response() -> None:
    predictor = Recorded(echo)

    assert with_bundles(predictor, at_once(5)) == [ModelResponse(200 + number, b"%d" % number) for number in range(5)]
    assert predictor.asked == [5]


def test_a_bundle_holds_so_many_and_who_comes_behind_begins_another() -> None:
    predictor = Recorded(echo)

    answers = with_bundles(predictor, at_once(MOST_REQUESTS + 3))

    assert [one.body for one in answers] == [b"%d" % number for number in range(MOST_REQUESTS + 3)]
    assert sorted(predictor.asked) == [3, MOST_REQUESTS]


def test_who_is_alone_goes_as_it_is() -> None:
    predictor = Recorded(echo)

    async def one_after_the_other(bundles: Bundles) -> list[ModelResponse]:
        return [await bundles.call(request(number), IN_TIME_S) for number in range(3)]

    assert with_bundles(predictor, one_after_the_other) == [ModelResponse(200, b"%d" % number) for number in range(3)]
    assert predictor.asked == [1, 1, 1]


def test_large_bodies_and_those_with_less_time_hold_up_nobody() -> None:
    predictor = Recorded(echo)

    async def ask(bundles: Bundles) -> list[ModelResponse]:
        large = request(0, b"." * (LARGEST_BODY_BYTES + 1))
        calls = [bundles.call(large, IN_TIME_S), *(bundles.call(request(1), seconds) for seconds in (IN_TIME_S, 1.0, 1.0))]
        return await asyncio.gather(*calls)

    assert [len(one.body) for one in with_bundles(predictor, ask)] == [LARGEST_BODY_BYTES + 1, 1, 1, 1]
    assert sorted(predictor.asked) == [1, 1, 2]


async def unknown(peer: Peer, _: Sequence[ModelRequest]) -> None:
    await peer.send(response(b"no such path", 404))


async def garbage(peer: Peer, _: Sequence[ModelRequest]) -> None:
    await peer.send(response(b"garbage"))


async def too_few(peer: Peer, requests: Sequence[ModelRequest]) -> None:
    await echo(peer, requests[1:])


async def breaking(peer: Peer, _: Sequence[ModelRequest]) -> None:
    peer.reset()


@pytest.mark.parametrize("take_bundle", [unknown, garbage, too_few, breaking])
def test_a_bundle_that_is_not_answered_as_one_is_taken_apart_and_none_is_sent_for_a_while(
    take_bundle: TakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Recorded(take_bundle)

    async def thrice(sender: Bundles) -> list[Any]:
        found = [await at_once(3)(sender), await at_once(3)(sender)]
        monkeypatch.setattr("proxy.bundles.time.perf_counter", lambda: later)
        return [*found, await at_once(3)(sender)]

    later = time.perf_counter() + 2 * PAUSE_S
    assert with_bundles(predictor, thrice) == [[ModelResponse(200, b"%d" % number) for number in range(3)]] * 3
    assert predictor.asked[:8] == [3, 1, 1, 1, 1, 1, 1, 3]


def test_a_predictor_that_hangs_costs_each_its_time_and_no_more() -> None:
    async def hang(peer: Peer, _: Sequence[ModelRequest]) -> None:
        await peer.closed()

    predictor = Recorded(hang)
    began = time.perf_counter()

    answers = with_bundles(predictor, at_once(4, timeout_s=0.2))

    assert [type(one) for one in answers] == [CallTimedOut] * 4
    assert time.perf_counter() - began < IN_TIME_S
    assert predictor.asked == [4]


def test_nobody_there_is_a_failure_of_each() -> None:
    async def ask() -> list[Any]:
        return await at_once(3)(Bundles(Pool(NOBODY)))

    assert [isinstance(one, CallFailed) for one in uvloop.run(ask())] == [True] * 3


@pytest.mark.parametrize("at_first", [True, False])
@pytest.mark.parametrize("gone", [0, 1])
def test_who_is_cancelled_takes_nobody_along(gone: int, at_first: bool) -> None:  # noqa: FBT001 - as pytest gives it
    held = asyncio.Event()

    async def wait_then_echo(peer: Peer, requests: Sequence[ModelRequest]) -> None:
        held.set()
        await asyncio.sleep(0)
        await echo(peer, requests)

    async def ask(sender: Bundles) -> list[bytes]:
        tasks = [asyncio.create_task(sender.call(request(number), IN_TIME_S)) for number in range(3)]
        await (asyncio.sleep(0) if at_first else held.wait())
        tasks.pop(gone).cancel()
        return [(await task).body for task in tasks]

    assert with_bundles(Recorded(wait_then_echo), ask) == [b"%d" % number for number in range(3) if number != gone]
