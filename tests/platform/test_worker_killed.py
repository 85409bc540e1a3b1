"""SIGKILL of one of several workers of a proxy, of a predictor and of the shipper, under load: what clients saw, and the log.

A client loses what it had under way over a connection to the worker that was killed, and no more. Nobody notices the predictor
of an arm, as the champion answers for it, nor the shipper. The log agrees with the clients' own record: what they were told
stands in it once, what they lost once or not at all, and nothing else.
"""

import os
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from lake.delta import Table
from lake.home import Home
from lake.log.audit import Audit, Scope
from lake.log.backlog import backlog
from lake.tables import PREDICTIONS
from tests.ports import free_port
from tests.promises import assert_numbered_without_gaps
from tests.recorded import RecordedClients
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

WORKERS, CLIENTS, ENOUGH, PATIENCE_S = 3, 8, 200, 60
ARMS = ("champion", "challenger")


def specs(home: Home, ports: dict[str, int]) -> dict[str, ProcessSpec]:
    """A predictor for each arm, a proxy of several workers, and the shipper."""

    def spec(name: str, *arguments: str, **variables: str) -> ProcessSpec:
        where = ("--port", str(ports[name])) if name in ports else ()
        return ProcessSpec(
            name=name,
            command=trainserve_command(*arguments, *where),
            environment={**home.environment(), "OMP_NUM_THREADS": "1", **variables},
            ready_url=f"http://127.0.0.1:{ports[name]}/health/ready" if name in ports else None,
        )

    upstreams = ",".join(f"{USE_CASE}/{arm}=http://127.0.0.1:{ports[arm]}" for arm in ARMS)
    settings = {"PROXY_UPSTREAMS": upstreams, "PROXY_SHARES": f"{USE_CASE}/challenger=0.5", "PROXY_TIMEOUT_S": "30"}
    return {
        **{arm: spec(arm, "predictor", USE_CASE, "--arm", arm) for arm in ARMS},
        "proxy": spec("proxy", "proxy", "--workers", str(WORKERS), **settings),
        "shipper": spec("shipper", "shipper"),
    }


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_who_is_killed_costs_clients_what_that_worker_had_under_way_and_the_log_agrees(home: Home) -> None:
    approver = Approver(home)
    for seed, arm in enumerate(ARMS):
        approver.release(toy(seed + 1), arm)
    ports = {name: free_port() for name in (*ARMS, "proxy")}
    of = specs(home, ports)
    with Processes(home.logs, lambda _line: None) as processes:
        processes.start(*(of[arm] for arm in ARMS))
        processes.start(of["proxy"], of["shipper"])
        clients = RecordedClients(f"http://127.0.0.1:{ports['proxy']}", CLIENTS)

        def goes_on() -> None:
            before = len(clients.told)
            eventually(lambda: len(clients.told) > before + ENOUGH, within_s=PATIENCE_S)

        def has_all_workers_but(gone: int) -> bool:
            return len(children(processes.pid("proxy")) - {gone}) == WORKERS

        def is_another(name: str, former: int) -> bool:
            return processes.pid(name) != former

        try:
            goes_on()
            eventually(lambda: len(children(processes.pid("proxy"))) == WORKERS)
            for victim in sorted(children(processes.pid("proxy")))[:2]:
                os.kill(victim, signal.SIGKILL)
                eventually(partial(has_all_workers_but, victim), within_s=PATIENCE_S)
                goes_on()
            lost_with_workers = dict(clients.lost)
            for name in ("challenger", "shipper"):
                former = processes.pid(name)
                os.kill(former, signal.SIGKILL)
                goes_on()
                eventually(partial(is_another, name, former), within_s=PATIENCE_S)
                goes_on()
        finally:
            clients.stop()
        eventually(lambda: backlog(home).bytes == 0, within_s=PATIENCE_S)

    assert 1 <= len(lost_with_workers) <= 2 * CLIENTS
    assert clients.lost == lost_with_workers, "neither predictor nor shipper cost a client anything"
    assert Counter(told.status for told in clients.told.values()) == {200: len(clients.told)}

    rows = Table(home.lake, USE_CASE, PREDICTIONS).scan().filter(purpose="answer")
    logged = rows.select("client_request_id", "request_id", "outcome", "arm", "rule").collect()
    assert set(logged["outcome"]) == {"answered"}
    assert {*zip(logged["arm"], logged["rule"], strict=True)} == {
        ("champion", "champion"),
        ("challenger", "share"),
        ("champion", "fallback"),
    }
    times = Counter(logged["client_request_id"])
    assert {key: times[key] for key in clients.told} == dict.fromkeys(clients.told, 1)
    assert {key: told.request_id for key, told in clients.told.items()}.items() <= dict(
        logged.select("client_request_id", "request_id").iter_rows()
    ).items()
    assert all(times[key] <= 1 for key in clients.lost)
    assert set(times) <= clients.told.keys() | clients.lost.keys(), "nothing is in the log that nobody sent"
    assert_numbered_without_gaps(home)
    assert list(Audit(home, Scope()).findings()) == []
