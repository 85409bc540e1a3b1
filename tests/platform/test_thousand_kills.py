"""A thousand kills under load, of proxy, predictors and shippers, at any instant of their lives: every promise is kept.

In ten parts of a hundred, each on a platform of its own. In some of them two shippers work on one table, and in some the
clock is set back an hour half-way: whoever is started from then on lives by it.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import time_machine

from lake.home import Home
from lake.log.backlog import backlog
from lake.times import now_utc
from tests.nursery import Child, Nursery
from tests.parcel_training import parcel_use_case
from tests.promises import assert_promises_kept
from tests.served import Approver, eventually, toy
from tests.two_arms import labelled_parcels, two_arms
from trainserve_assets.demo.record import ClientRecord
from trainserve_assets.demo.replay import Replay
from trainserve_assets.platform.processes import ProcessSpec
from trainserve_assets.platform.topology import Topology

KILLS = 100
PARTS = 10
LONGEST_LIFE_S = 1.0  # from when it is ready; a quarter are killed before
LONGEST_WAIT_S = 30.0
BATCH = 200


class Lives:
    """The lives of one process: started, killed at some instant, started again, until told to let it live."""

    def __init__(self, spec: ProcessSpec, nursery: Nursery, lock: threading.Lock, on_kill: Callable[[], bool], seed: int) -> None:
        self._spec = spec
        self._nursery = nursery
        self._lock = lock
        self._on_kill = on_kill
        self._random = random.Random(seed)  # noqa: S311 - a fixed seed
        self._thread = threading.Thread(target=self._run)
        self.child: Child
        self._thread.start()

    def end(self) -> None:
        """Wait until it is let live, and end it."""
        self._thread.join()
        self.child.kill()
        self.child.close()

    def _run(self) -> None:
        while True:
            arguments = self._spec.command[3:]  # behind the interpreter and the module
            with self._lock:
                self.child = self._nursery.start(self._spec.name, arguments, self._spec.environment)
            if self._random.random() < 0.75:
                self._wait_until_ready()
            time.sleep(self._random.uniform(0, LONGEST_LIFE_S))
            if not self._on_kill():
                return
            self.child.kill()
            self.child.close()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_S
        url = self._spec.ready_url
        while url is not None and self.child.is_alive() and not _answers(url) and time.monotonic() < deadline:
            time.sleep(0.01)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):  # noqa: S310 - our own address
            return True
    except (URLError, OSError):
        return False


class Reaper:
    """Counts kills, and says when there were enough; half-way it sets the clock, if it is to be set."""

    def __init__(self, nursery: Nursery, hours: float) -> None:
        self.kills = 0
        self._nursery = nursery
        self._hours = hours
        self._lock = threading.Lock()

    @property
    def is_done(self) -> bool:
        """Whether there were enough."""
        return self.kills >= KILLS

    def __call__(self) -> bool:
        """Whether one more is to be killed."""
        with self._lock:
            if self.is_done:
                return False
            self.kills += 1
            if self.kills == KILLS // 2:
                self._nursery.hours = self._hours
            return True


def load(topology: Topology, record: ClientRecord, done: Callable[[], bool]) -> None:
    """Send requests and labels until done; each is tried again until it is answered."""
    parcels = labelled_parcels()
    while not done():
        batch = [next(parcels) for _ in range(BATCH)]
        asyncio.run(Replay(parcel_use_case(), topology.proxy_url, record, lambda _: None).run(batch))


@contextmanager
def killed_again_and_again(specs: Sequence[ProcessSpec], nursery: Nursery, reaper: Reaper, seed: int) -> Iterator[None]:
    """The lives of these processes; when there were enough kills, all of them live on until this is left."""
    lock = threading.Lock()
    lives = [Lives(spec, nursery, lock, reaper, seed + number) for number, spec in enumerate(specs)]
    with ExitStack() as ending:
        for life in lives:
            ending.callback(life.end)
        yield


def renamed(spec: ProcessSpec, name: str) -> ProcessSpec:
    return ProcessSpec(name=name, command=spec.command, environment=spec.environment, ready_url=spec.ready_url)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_kills_break_no_promise(home: Home, tmp_path: Path, part: int) -> None:
    with time_machine.travel(now_utc() - timedelta(hours=2)):  # a release of the future would not be served
        approver = Approver(home)
        approver.release(toy(1))
        approver.release(toy(2), "challenger")
    topology = two_arms(home, challenger_share=0.3)
    specs = topology.serving()
    if part % 3 == 1:
        specs.append(renamed(topology.shipper(), "second-shipper"))
    client = tmp_path / "client.jsonl"
    with Nursery(home.logs) as nursery, ClientRecord(client) as record:
        reaper = Reaper(nursery, hours=-1.0 if part % 2 else 0.0)
        with killed_again_and_again(specs, nursery, reaper, seed=part):
            load(topology, record, lambda: reaper.is_done)
            eventually(lambda: backlog(home).bytes == 0, within_s=60)

        assert reaper.kills == KILLS
        assert record.answers.keys() == record.labelled
        assert_promises_kept(home, record, client)
