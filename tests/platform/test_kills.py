"""The whole serving side under SIGKILL: what the client was told is in the table, once, whatever was killed meanwhile."""

import asyncio
import os
import random
import signal
import threading
from contextlib import suppress
from itertools import islice
from pathlib import Path

from lake.home import Home
from lake.log.backlog import backlog
from tests.parcel_training import parcel_use_case
from tests.promises import assert_promises_kept
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy
from tests.two_arms import labelled_parcels, two_arms
from trainserve_assets.demo.record import ClientRecord
from trainserve_assets.demo.replay import Replay
from trainserve_assets.platform.processes import Processes

REQUESTS = 3_000
VICTIMS = ("proxy", "shipper", f"predictor-{USE_CASE}-challenger", "proxy", "shipper", "proxy")


def test_kills_lose_nothing_and_double_nothing(home: Home, tmp_path: Path) -> None:
    approver = Approver(home)
    approver.release(toy(1))
    approver.release(toy(2), "challenger")
    topology = two_arms(home, challenger_share=0.3)
    parcels = list(islice(labelled_parcels(), REQUESTS))
    randomness = random.Random(7)  # noqa: S311 - a fixed seed, so that a failure can be repeated
    answers = 0
    moments = sorted(randomness.sample(range(100, REQUESTS - 100), len(VICTIMS)))
    due = list(zip(moments, VICTIMS, strict=True))
    lock = threading.Lock()
    client = tmp_path / "client.jsonl"

    with Processes(home.logs, print) as processes, ClientRecord(client) as record:
        processes.start(*topology.serving())
        killed = [processes.pid("proxy")]

        def kill_when_due(count: int) -> None:
            nonlocal answers
            with lock:
                answers += count
                while due and answers >= due[0][0]:
                    victim = processes.pid(due.pop(0)[1])
                    with suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
                    killed.append(victim)

        asyncio.run(Replay(parcel_use_case(), topology.proxy_url, record, kill_when_due).run(parcels))
        eventually(lambda: backlog(home).bytes == 0, within_s=60)

        assert len(killed) == 1 + len(VICTIMS)
        assert processes.pid("proxy") != killed[0]
        assert len(record.answers) == len(record.labelled) == REQUESTS
        assert_promises_kept(home, record, client)
