"""Constant load on a proxy before replicas that fail: latency keeps to the timeout, retries to their budget.

What the machine adds by itself, with others to serve, is measured before, on replicas in order.
"""

from contextlib import ExitStack

import httpx
import pytest
import uvloop

from bench.offered import offer
from lake.home import Home
from tests.ports import free_port
from tests.proxied import predictions
from tests.raw_upstream import CHAOS, Chaos, Mode, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, toy
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

RATE, SECONDS, BEFORE_S = 200, 5, 2
TIMEOUT_MS = 300
MOST_ABOVE_MS = 50


def count(proxy: str, name: str) -> float:
    """The sum over a counter."""
    lines = httpx.get(f"{proxy}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside one in order"])
@pytest.mark.parametrize("mode", CHAOS)
def test_a_failing_replica_costs_no_more_than_the_timeout(home: Home, mode: Mode, alone: bool) -> None:  # noqa: FBT001 - a case
    live = Approver(home).release(toy())
    broken, good = Chaos(live), Chaos(live)
    with ExitStack() as stack:
        urls = [stack.enter_context(raw_server(one)) for one in ([broken] if alone else [broken, good])]
        port = free_port()
        proxy = f"http://127.0.0.1:{port}"
        spec = ProcessSpec(
            name="proxy",
            command=trainserve_command("proxy", "--port", str(port)),
            environment={
                **home.environment(),
                "PROXY_UPSTREAMS": ",".join(f"{USE_CASE}/champion={url}" for url in urls),
                "PROXY_TIMEOUT_S": str(TIMEOUT_MS / 1000),
            },
            ready_url=f"{proxy}/health/ready",
        )
        processes = stack.enter_context(Processes(home.logs, lambda _line: None))
        processes.start(spec)
        before = uvloop.run(offer(proxy + PREDICT, records_body(parcel()), RATE, BEFORE_S))
        broken.mode = mode
        seen = uvloop.run(offer(proxy + PREDICT, records_body(parcel()), RATE, SECONDS))
        retries = count(proxy, "trainserve_proxy_retries_total")

    rows = predictions(home)
    assert len(rows) == RATE * (BEFORE_S + SECONDS)
    assert sum(row.outcome == "answered" for row in rows) == before.sent + seen.sent - seen.failed
    assert before.failed == 0
    assert seen.p99_ms <= TIMEOUT_MS + MOST_ABOVE_MS + before.p99_ms, (seen, before)
    assert retries <= 0.2 * seen.sent + 10 * (SECONDS + 10)
    if alone:
        assert seen.failed == seen.sent
        under_way = RATE * TIMEOUT_MS / 1000 * 2 if mode in ("hang", "slow") else RATE / 10  # before five of them have failed
        assert broken.asked[mode] <= under_way + 3 * SECONDS, "probes, one at a time"
    elif mode not in ("hang", "slow"):
        assert seen.failed == 0
