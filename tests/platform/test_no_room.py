"""Real servers without room on the disk: nothing is answered, the operator is obeyed, and they go on by themselves."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import httpx
import msgspec
import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.home import Home
from lake.log.backlog import backlog
from lake.parameters import newest_parameters, parameters_from_environment, publish_parameters
from lake.tables import PREDICTIONS
from tests.disks import fill, small_disk
from tests.load import Load
from tests.ports import proxy_port
from tests.proxied import predictions
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy
from trainserve_assets.platform.processes import Processes
from trainserve_assets.platform.topology import Topology

CHAMPION = f"predictor-{USE_CASE}-champion"


@contextmanager
def no_room(*pids: int) -> Iterator[None]:
    """No file of these processes can grow above a byte, their logs among them."""
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    yield
    for pid, limits in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def topology(home: Home) -> Topology:
    """A champion's predictor and the proxy, on free ports."""
    arms = ((USE_CASE, "champion"),)
    return Topology(home=home, host="127.0.0.1", proxy_port=proxy_port(1), dagit_port=0, arms=arms)


def test_servers_without_room_answer_nothing_obey_and_recover(home: Home, store: DocumentStore, topology: Topology) -> None:
    approver = Approver(home)
    first, second = approver.seal(toy(1)), approver.seal(toy(2))
    approver.decide("approve", first)
    predictor, proxy, _ = topology.serving()
    with Processes(home.logs, print) as processes, httpx.Client(base_url=topology.proxy_url, trust_env=False) as client:
        processes.start(predictor, proxy)
        pids = [processes.pid(CHAMPION), processes.pid("proxy")]

        def ask() -> httpx.Response:
            return client.post(PREDICT, content=records_body(parcel()))

        def page(url: str) -> Any:
            return client.get(f"{url}/health/ready").json()

        eventually(lambda: ask().status_code == 200)
        acknowledged = len(predictions(home))
        with no_room(*pids):
            refused = ask()
            approver.decide("approve", second)
            parameters = parameters_from_environment({**proxy.environment})[USE_CASE]
            publish_parameters(store, msgspec.structs.replace(parameters, active=False), 0)
            eventually(lambda: client.get(f"/parameters/{USE_CASE}").json()["version"] == 1)
            eventually(lambda: page(topology.predictor_url(USE_CASE, "champion"))["package_digest"] == second)
            approver.decide("revoke", second)
            eventually(lambda: page(topology.predictor_url(USE_CASE, "champion"))["package_digest"] == first)
            assert page(topology.proxy_url)["log_failing"]
            assert len(predictions(home)) == acknowledged

        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")
        eventually(lambda: page(topology.proxy_url)["ready"])
        newest = newest_parameters(store, USE_CASE)
        assert newest is not None
        publish_parameters(store, msgspec.structs.replace(newest, active=True), 1)
        eventually(lambda: ask().status_code == 200)
        assert pids == [processes.pid(CHAMPION), processes.pid("proxy")], "nobody had to start them again"
        assert predictions(home)[-1].package_digest == first


def test_a_disk_that_fills_up_under_load_refuses_and_is_used_again_within_five_seconds(home: Home, topology: Topology) -> None:
    approver = Approver(home)
    approver.release(toy(1))
    predictor, proxy, shipper = topology.serving()
    with small_disk(home.spools, 8 * 1024) as disk, Processes(home.logs, print) as processes:
        ballast = fill(disk, but_kilobytes=256)
        processes.start(predictor, proxy)
        load = Load(topology.proxy_url)
        eventually(lambda: [answer.status_code for answer in load.since(0)].count(503) > 50, within_s=60)
        load.stop()
        processes.stop_one("proxy")
        processes.start(proxy)  # onto a disk that is full
        again = Load(topology.proxy_url)
        eventually(lambda: [answer.status_code for answer in again.since(0)].count(503) > 50)
        ballast.unlink()
        freed = monotonic()
        eventually(lambda: any(answer.status_code == 200 for answer in again.since(freed)), within_s=5)
        processes.start(shipper)
        eventually(lambda: len(again.since(freed)) > 200)
        again.stop()
        eventually(lambda: backlog(home).bytes == 0, within_s=60)

        answers = load.since(0) + again.since(0)
        assert {answer.status_code for answer in answers} == {200, 503}
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
        acknowledged = load.acknowledged() | again.acknowledged()
        logged = Table(home.lake, USE_CASE, PREDICTIONS).scan().select("request_id", pl.len().over("request_id")).collect()
        assert acknowledged <= set(logged["request_id"]), "an answer that a client has is not in the table"
        assert logged["len"].max() == 1, "a row stands twice"
