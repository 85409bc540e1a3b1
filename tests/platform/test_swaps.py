"""Roll back and revocation under load, with real processes: no request fails, and within 2 s nothing else answers."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec
import pytest

from lake.home import Home
from lake.release.decision import DecisionKind
from tests.proxied import predictions
from tests.scenario import parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy
from tests.two_arms import two_arms
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology

CLIENTS = 8
DEADLINE_S = 2.0


class Answered(msgspec.Struct, frozen=True):
    """One answer under load: when its request was sent, and by which package it was answered, if at all."""

    sent_at: float
    status: int
    package: str | None


class Load:
    """Clients that ask without a pause, each for other parcels, and keep what they were told."""

    def __init__(self, url: str) -> None:
        self.answers: list[Answered] = []
        self._url = url
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask until the end of the block."""
        thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()))
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    async def _ask_all(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=30) as client:
            await asyncio.gather(*(self._ask(client, number) for number in range(CLIENTS)))

    async def _ask(self, client: httpx.AsyncClient, number: int) -> None:
        count = 0
        while not self._stopped.is_set():
            count += 1
            sent_at = time.monotonic()
            answer = await client.post(PREDICT, content=records_body(parcel(parcel_id=f"P-{number}-{count}")))
            package = answer.json()["provenance"]["package_digest"] if answer.status_code == httpx.codes.OK else None
            self.answers.append(Answered(sent_at, answer.status_code, package))

    def settle(self, began_at: float, packages: set[str]) -> None:
        """Wait until long after an event that began then; asserts that nothing failed, and who answers beyond the deadline."""
        eventually(lambda: sum(answer.sent_at > began_at + DEADLINE_S for answer in self.answers) > 20 * CLIENTS)
        answers = list(self.answers)
        assert {answer.status for answer in answers} == {200}
        assert {answer.package for answer in answers if answer.sent_at > began_at + DEADLINE_S} == packages


@pytest.fixture
def topology(home: Home) -> Topology:
    """Predictors of a champion and of a challenger with half of the requests, and the proxy, on free ports."""
    return two_arms(home, challenger_share=0.5)


def test_roll_back_and_revocation_fail_no_request_and_take_at_most_two_seconds(home: Home, topology: Topology) -> None:
    approver = Approver(home)
    first, second, challenger = (approver.seal(toy(seed)) for seed in (1, 2, 3))
    approver.decide("approve", first)
    approver.decide("approve", second)
    approver.decide("approve", challenger, "challenger")
    load = Load(topology.proxy_url)
    with Processes(home.logs, print) as processes:
        processes.start(*topology.serving()[:3])
        with httpx.Client(base_url=topology.proxy_url, trust_env=False) as client:
            eventually(lambda: client.post(PREDICT, content=records_body(parcel())).status_code == httpx.codes.OK)
        with load.running():
            load.settle(time.monotonic() - DEADLINE_S, {second, challenger})  # nothing has changed yet

            decisions: list[tuple[DecisionKind, str, str, set[str]]] = [
                ("roll back", first, "champion", {first, challenger}),
                ("roll back", second, "champion", {second, challenger}),
                ("revoke", second, "champion", {first, challenger}),
                ("revoke", challenger, "challenger", {first}),
            ]
            for decide, package, arm, left in decisions:
                began_at = time.monotonic()
                approver.decide(decide, package, arm)
                load.settle(began_at, left)

    acknowledged = len(load.answers)
    assert acknowledged > 100 * CLIENTS
    logged = [row for row in predictions(home) if row.outcome != "answered"]
    assert logged == [], "nor was any failure logged that the clients did not see"
