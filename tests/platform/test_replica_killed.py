"""A replica is killed while clients ask, with real processes: they notice nothing, the log agrees, and it comes back."""

import os
import signal
from collections import Counter
from time import monotonic

import httpx
import pytest

from lake.home import Home
from tests.load import Load
from tests.ports import free_port
from tests.proxied import predictions
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

REPLICAS = ("replica-1", "replica-2")
ENOUGH = 100


def specs(home: Home, ports: dict[str, int]) -> tuple[list[ProcessSpec], ProcessSpec]:
    """Two predictors of the champion's arm, and the proxy before both."""

    def server(name: str, *arguments: str, **variables: str) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            command=trainserve_command(*arguments, "--port", str(ports[name])),
            environment={**home.environment(), "OMP_NUM_THREADS": "1", **variables},
            ready_url=f"http://127.0.0.1:{ports[name]}/health/ready",
        )

    upstreams = ",".join(f"{USE_CASE}/champion=http://127.0.0.1:{ports[name]}" for name in REPLICAS)
    return [server(name, "predictor", USE_CASE) for name in REPLICAS], server("proxy", "proxy", PROXY_UPSTREAMS=upstreams)


def circuits(proxy: str) -> Counter[str]:
    """How many replicas are in which state."""
    lines = httpx.get(f"{proxy}/metrics", trust_env=False).text.splitlines()
    return Counter(
        line.partition('state="')[2].partition('"')[0] for line in lines if line.startswith("trainserve_proxy_circuit{")
    )


@pytest.mark.timeout(180)
def test_a_killed_replica_is_made_up_for_by_the_other(home: Home) -> None:
    Approver(home).release(toy())
    ports = {name: free_port() for name in (*REPLICAS, "proxy")}
    predictors, proxy = specs(home, ports)
    url = f"http://127.0.0.1:{ports['proxy']}"
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(*predictors)
        processes.start(proxy)
        load = Load(url)
        try:
            eventually(lambda: len(load.told) > ENOUGH)
            eventually(lambda: circuits(url)["closed"] == len(REPLICAS))
            os.kill(processes.pid("replica-1"), signal.SIGKILL)
            killed = monotonic()
            eventually(lambda: len(load.since(killed)) > 2 * ENOUGH)
            eventually(lambda: circuits(url)["closed"] == len(REPLICAS), within_s=60)  # it was started again, and is asked
        finally:
            load.stop()

    told = [answer for _, answer in load.told]
    assert Counter(answer.status_code for answer in told) == {200: len(told)}
    rows = predictions(home)
    assert Counter(row.request_id for row in rows) == dict.fromkeys(load.acknowledged(), 1)
    assert {row.outcome for row in rows} == {"answered"}
    assert 1 <= sum(row.attempts > 1 for row in rows) <= 10 * ENOUGH
