"""How the replicas of an arm are asked: the one with less to do, a second one within a budget, none that keeps failing."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from lake.budget import Budget
from lake.interface.bundle import ModelRequest
from proxy.circuit import Circuit
from proxy.metrics import Metrics
from proxy.resilience import Resilience
from proxy.upstream import Inquiry, UpstreamAnswer, UpstreamFailed, Upstreams
from tests.proxied import NOBODY
from tests.raw_upstream import Chaos, raw_upstream
from tests.scenario import USE_CASE

NEVER = 10**9
PATIENT = Resilience(timeout_s=10.0)


class Arm:
    """The champion's replicas, asked as the proxy asks them."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.metrics = Metrics()
        self.upstreams = Upstreams(self.metrics)

    async def ask(self, resilience: Resilience = PATIENT) -> UpstreamAnswer:
        inquiry = Inquiry(ModelRequest("predict", USE_CASE, "r-1", b"{}"), rows=1)
        return await self.upstreams.ask("champion", tuple(self.addresses), inquiry, resilience, resilience.timeout_s)

    def counted(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name, {"use_case": USE_CASE, "arm": "champion"}) or 0.0


def with_arm(use: Callable[[Arm], Awaitable[Any]], *replicas: Chaos) -> Any:
    async def run() -> Any:
        async with AsyncExitStack() as stack:
            arm = Arm([await stack.enter_async_context(raw_upstream(one)) for one in replicas])
            try:
                return await use(arm)
            finally:
                await arm.upstreams.close()

    return uvloop.run(run())


def chaos(mode: Any = "good") -> Chaos:
    return Chaos("a" * 64, mode)


def test_the_replica_with_less_to_do_is_asked() -> None:
    async def use(arm: Arm) -> None:
        busy, _ = both = arm.addresses
        arm.addresses = [busy]
        stuck = asyncio.create_task(arm.ask())
        await asyncio.sleep(0)  # by then it is under way
        arm.addresses = both
        assert {(await arm.ask()).attempts for _ in range(50)} == {1}
        assert [one.in_flight for one in arm.upstreams.states(USE_CASE, "champion")] == [1, 0]
        stuck.cancel()

    with_arm(use, chaos("hang"), chaos())


def test_replicas_share_the_requests() -> None:
    replicas = [chaos() for _ in range(3)]

    async def use(arm: Arm) -> None:
        await asyncio.gather(*(arm.ask() for _ in range(90)))

    with_arm(use, *replicas)
    assert all(20 <= one.asked["good"] <= 40 for one in replicas), [one.asked for one in replicas]


def test_retries_keep_to_their_budget() -> None:
    resilience = Resilience(timeout_s=10.0, breaker_failures=NEVER)

    async def use(arm: Arm) -> None:
        began = time.perf_counter()
        attempts = Counter([(await arm.ask(resilience)).attempts for _ in range(400)])
        elapsed_s = time.perf_counter() - began
        retries = arm.counted("trainserve_proxy_retries_total")
        assert retries == attempts[2]
        assert 0.2 * 400 <= retries <= 0.2 * 400 + 10 * (elapsed_s + 1)
        assert arm.counted("trainserve_proxy_retries_refused_total") == attempts[1] > 0

    with_arm(use, chaos("500"), chaos("500"))


def test_an_attempt_that_hangs_leaves_time_for_another() -> None:
    hanging = chaos("hang")

    async def use(arm: Arm) -> None:
        attempts = list[int]()
        while not hanging.asked["hang"]:
            answer = await arm.ask(Resilience(timeout_s=2.0))
            assert answer.status == 200
            attempts.append(answer.attempts)
        assert attempts == [1] * (len(attempts) - 1) + [2]

    with_arm(use, hanging, chaos())


def test_there_are_only_so_many_attempts() -> None:
    async def use(arm: Arm) -> None:
        for attempts in (1, 2, 3):
            answer = await arm.ask(Resilience(attempts=attempts, breaker_failures=NEVER))
            assert (answer.status, answer.attempts) == (500, attempts)

    with_arm(use, *[chaos("500") for _ in range(4)])


def test_without_any_replica_that_may_be_asked_it_fails_at_once() -> None:
    async def use(arm: Arm) -> None:
        arm.addresses = [NOBODY]
        with pytest.raises(UpstreamFailed, match="could not be reached in 2 attempts"):
            await arm.ask(Resilience(breaker_failures=2))
        with pytest.raises(UpstreamFailed, match="left alone") as failed:
            await arm.ask(Resilience(breaker_failures=2))
        assert failed.value.attempts == 0

    with_arm(use)


def test_new_addresses_are_asked_and_old_ones_keep_their_circuits() -> None:
    first, second = chaos("500"), chaos()

    async def use(arm: Arm) -> None:
        both = arm.addresses
        arm.addresses = both[:1]
        for _ in range(5):
            await arm.ask()
        arm.addresses = both
        for _ in range(10):
            assert (await arm.ask()).status == 200
        states = arm.upstreams.states(USE_CASE, "champion")
        assert [(one.address, one.circuit, one.in_flight) for one in states] == [(both[0], "open", 0), (both[1], "closed", 0)]
        arm.addresses = both[1:]
        await arm.ask()
        assert [one.address for one in arm.upstreams.states(USE_CASE, "champion")] == both[1:]

    with_arm(use, first, second)
    assert first.asked["500"] == 5


@given(uses=st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_a_budget_gives_no_more_than_was_earned(uses: list[tuple[float, bool]]) -> None:
    budget, now, taken, earned = Budget(0.0, 10.0), 0.0, 0, 10.0
    for pause_s, takes in uses:
        now += pause_s
        earned += 0.2 + 10 * pause_s
        budget.earn(0.2, now, 10.0)
        taken += takes and budget.take()
    assert taken <= earned + 1e-6
    budget.earn(0.0, now + 1e6, 10.0)
    assert [budget.take() for _ in range(101)].count(True) == 100


SETTINGS = Resilience(breaker_failures=5, breaker_open_s=1.0, breaker_longest_s=8.0)


def opened(now: float = 0.0) -> Circuit:
    """A circuit that five failures have just opened."""
    circuit = Circuit()
    for number in range(5):
        assert circuit.admits(now)
        assert bool(circuit.failed(circuit.enter(), now, SETTINGS)) == (number == 4)
    return circuit


def test_a_circuit_opens_after_failures_in_a_row_only() -> None:
    circuit = Circuit()
    for _ in range(20):
        for _ in range(4):
            assert not circuit.failed(circuit.enter(), 0.0, SETTINGS)
        circuit.succeeded(circuit.enter())
    assert circuit.state(0.0) == "closed"
    assert opened().state(0.5) == "open"


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    circuit, now, pauses = opened(), 0.0, []
    for _ in range(6):
        pause_s = next(pause for pause in (1.0, 2.0, 4.0, 8.0, 16.0) if circuit.admits(now + pause))
        now += pause_s
        assert circuit.state(now - 1e-9) == "open"
        assert circuit.state(now) == "half-open"
        pauses.append(pause_s)
        circuit.failed(circuit.enter(), now, SETTINGS)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    circuit.succeeded(circuit.enter())
    assert (circuit.state(now), circuit.admits(now)) == ("closed", True)
    for _ in range(5):
        circuit.failed(circuit.enter(), now, SETTINGS)
    assert circuit.admits(now + 1.0), "after it has recovered, the pause is short again"


def test_a_probe_that_is_given_up_lets_another_one_through() -> None:
    circuit = opened()
    probe = circuit.enter()
    assert not circuit.admits(1.0)
    circuit.left(probe)
    assert circuit.admits(1.0)


def test_calls_from_before_the_change_change_nothing() -> None:
    circuit = Circuit()
    old = [circuit.enter() for _ in range(20)]
    assert sum(bool(circuit.failed(epoch, 0.0, SETTINGS)) for epoch in old[:-1]) == 1
    assert not circuit.succeeded(old[-1])
    assert circuit.state(0.5) == "open"
    probe = circuit.enter()
    assert not circuit.failed(old[-1], 1.0, SETTINGS)
    assert not circuit.admits(1.0), "the probe is still under way"
    assert circuit.succeeded(probe)
