"""Load at a constant rate: a server that stands still is late for all that was due, and one that breaks off fails it."""

import asyncio
import time

import pytest
import uvloop

from bench.offered import ask, offer, quantile
from tests.raw_upstream import Peer, raw_server, response

RATE = 100.0
STALL_S = 0.5


def test_who_stands_still_is_late_for_each_request_that_was_due_meanwhile() -> None:
    until = 0.0

    async def stalled(peer: Peer) -> None:
        nonlocal until
        while True:
            await peer.request()
            until = until or time.monotonic() + STALL_S
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            whole = response(b"{}")
            await peer.send(whole[:20], whole[20:])

    with raw_server(stalled) as url:
        asked = uvloop.run(ask(f"{url}/x", b"{}", RATE, 1.0))

    assert (len(asked.latencies_ms), asked.failed) == (100, [])
    due_meanwhile = int(STALL_S * RATE)
    for number in range(due_meanwhile - 1):
        assert asked.latencies_ms[number] >= (STALL_S - number / RATE) * 1000 - 50, "it waited from when it was due"
    assert sum(latency_ms > STALL_S * 500 for latency_ms in asked.latencies_ms) >= due_meanwhile / 2 - 5
    assert min(asked.late_ms) >= 0


@pytest.mark.parametrize("how", ["reset", "refused", "500"])
def test_a_request_without_an_answer_has_failed_and_the_load_goes_on(how: str) -> None:
    async def broken(peer: Peer) -> None:
        await peer.request()
        while how == "500":
            await peer.send(response(b"{}", 500))
            await peer.request()
        peer.reset()

    with raw_server(broken) as url:
        offered = uvloop.run(offer(f"{url if how != 'refused' else 'http://127.0.0.1:9'}/x", b"{}", RATE, 0.3))

    assert (offered.sent, offered.failed) == (30, 30)


def test_a_quantile_is_what_that_part_does_not_reach() -> None:
    ordered = [float(number) for number in range(1_000)]
    assert [quantile(ordered, part) for part in (0.5, 0.99, 0.999, 1.0)] == [500.0, 990.0, 999.0, 999.0]
