"""Constant load on a proxy before replicas that fail: latency keeps to the timeout, retries to their budget.

What the machine adds by itself, with others to serve, is seen at the same time: a second proxy, before a replica in order, is
asked in the same moments. A request may be late by as much as the latest of those that were asked there while it was under
way, and by nothing else; it may fail where one of those took most of the timeout. As a process may still be held up alone,
the replica fails in several rounds, and the median of what they show counts.
"""

import asyncio
import math
import time
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import httpx
import msgspec
import pytest
import uvloop

from bench.offered import Asked, ask, quantile
from lake.home import Home
from tests.ports import free_port
from tests.proxied import predictions
from tests.raw_upstream import CHAOS, Chaos, Mode, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

RATE, ROUNDS, ROUND_S, SECONDS = 150, 5, 1.0, 3.0
TIMEOUT_MS = 300
MOST_ABOVE_MS = 50
FIRST_PAUSE_S = 0.5


class Proxies(msgspec.Struct, frozen=True):
    """The proxy before replicas that fail, and one before a replica in order."""

    tried: str
    in_order: str

    def ask(self, seconds: float) -> tuple[Asked, Asked]:
        """Ask both in the same moments."""
        body = records_body(parcel())

        async def both() -> tuple[Asked, Asked]:
            return await asyncio.gather(
                ask(self.tried + PREDICT, body, RATE, seconds), ask(self.in_order + PREDICT, body, RATE, seconds)
            )

        tried, in_order = uvloop.run(both())
        assert in_order.failed == []
        return tried, in_order


@contextmanager
def proxies(home: Home, live: str, *replicas: Chaos) -> Iterator[Proxies]:
    """Both, as processes."""
    with ExitStack() as stack:
        urls = [stack.enter_context(raw_server(one)) for one in replicas]
        beside = stack.enter_context(raw_server(Chaos(live)))
        ports = {"tried": free_port(), "in order": free_port()}
        processes = stack.enter_context(Processes(home.logs, lambda _line: None))
        for name, upstreams, timeout_s in (("tried", urls, TIMEOUT_MS / 1000), ("in order", [beside], 30)):
            spec = ProcessSpec(
                name=name,
                command=trainserve_command("proxy", "--port", str(ports[name])),
                environment={
                    **home.environment(),
                    "PROXY_UPSTREAMS": ",".join(f"{USE_CASE}/champion={url}" for url in upstreams),
                    "PROXY_TIMEOUT_S": str(timeout_s),
                },
                ready_url=f"http://127.0.0.1:{ports[name]}/health/ready",
            )
            processes.start(spec)
        yield Proxies(*(f"http://127.0.0.1:{port}" for port in ports.values()))


def beyond_the_machine_ms(tried: Asked, in_order: Asked) -> list[float]:
    """What each request took, without the most that one took of those that were due at the other proxy meanwhile."""
    return [latency_ms - _by_the_machine_ms(number, tried, in_order) for number, latency_ms in enumerate(tried.latencies_ms)]


def failed_by_themselves(tried: Asked, in_order: Asked) -> list[int]:
    """The requests that failed although the machine let those at the other proxy be answered in a part of the timeout."""
    return [number for number in tried.failed if _by_the_machine_ms(number, tried, in_order) < TIMEOUT_MS / 4]


def _by_the_machine_ms(number: int, tried: Asked, in_order: Asked) -> float:
    took = 1 + math.ceil(tried.latencies_ms[number] * RATE / 1000)
    return max(in_order.latencies_ms[number : number + took])


def most_probes(seconds: float) -> int:
    """How many probes a circuit makes in such a time at most, when each fails: each pause is twice the one before it."""
    return 2 + int(math.log2(1 + seconds / FIRST_PAUSE_S))


def count(proxy: str, name: str) -> float:
    """The sum over a counter."""
    lines = httpx.get(f"{proxy}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


def asked(*latencies_ms: float, failed: tuple[int, ...] = ()) -> Asked:
    return Asked(latencies_ms=array("d", latencies_ms), late_ms=array("d", latencies_ms), failed=list(failed))


def test_what_the_machine_adds_is_what_a_proxy_in_order_took_in_the_same_moments() -> None:
    assert beyond_the_machine_ms(asked(300, 300, 2), asked(2, 80, 3)) == [220, 220, -1]
    assert beyond_the_machine_ms(asked(400, 2), asked(2, 2)) == [398, 0], "a proxy that is late by itself is found out"
    assert failed_by_themselves(asked(300, 300, failed=(0, 1)), asked(90, 2)) == [1]


def closed(proxy: str) -> int:
    """How many circuits are closed."""
    lines = httpx.get(f"{proxy}/metrics", trust_env=False).text.splitlines()
    return sum(line.startswith("trainserve_proxy_circuit{") and 'state="closed"' in line for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside one in order"])
@pytest.mark.parametrize("mode", CHAOS)
def test_a_failing_replica_costs_no_more_than_the_timeout(home: Home, mode: Mode, alone: bool) -> None:  # noqa: FBT001 - a case
    live = Approver(home).release(toy())
    broken = Chaos(live)
    replicas = [broken] if alone else [broken, Chaos(live)]
    parts, others = [], []
    with proxies(home, live, *replicas) as both:
        began = time.monotonic()
        for _ in range(ROUNDS):
            broken.mode = "good"
            while closed(both.tried) < len(replicas):
                others.append(both.ask(ROUND_S / 4))
            broken.mode = mode
            parts.append(both.ask(ROUND_S))
        while closed(both.tried) == len(replicas):
            others.append(both.ask(ROUND_S / 4))
        eventually(lambda: broken.under_way == 0)
        until_open, broken.most_at_once, opened = broken.asked[mode], 0, time.monotonic()
        parts.append(both.ask(SECONDS))
        ended = time.monotonic()
        retries = count(both.tried, "trainserve_proxy_retries_total")

    sent = sum(len(tried.latencies_ms) for tried, _ in (*parts, *others))
    failed = sum(len(tried.failed) for tried, _ in (*parts, *others))
    rows = predictions(home)
    assert len(rows) == 2 * sent
    assert sum(row.outcome == "answered" for row in rows) == len(rows) - failed
    assert median(quantile(sorted(beyond_the_machine_ms(*part)), 0.99) for part in parts) <= TIMEOUT_MS + MOST_ABOVE_MS
    assert retries <= 0.2 * sent + 10 * (ended - began + 10)
    assert broken.asked[mode] - until_open <= most_probes(ended - opened)
    assert broken.most_at_once <= 1, "one at a time"
    if alone:
        assert all(len(tried.failed) == len(tried.latencies_ms) for tried, _ in parts)
    elif mode not in ("hang", "slow"):
        assert [failed_by_themselves(*part) for part in parts] == [[] for _ in parts]
