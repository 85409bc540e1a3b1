"""Several workers: one socket, one page of metrics, one of them replaced when it dies, and all gone when the first is."""

import os
import signal
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from lake.log.slot import slots
from tests.commands import Running, running
from tests.ports import free_port
from tests.proxied import predictions
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, toy


@pytest.fixture
def server(home: Home) -> Iterator[Running]:
    """A predictor of two workers that stands alone."""
    Approver(home).release(toy())
    with running(home, "predictor", USE_CASE, "--stand-alone", "--workers", "2") as server:
        eventually(lambda: sample(server, "trainserve_worker_up") == {"1": 1.0, "2": 1.0})
        yield server


def sample(server: Running, name: str, **labels: str) -> dict[str, float]:
    """What each worker says of a metric."""
    return {
        one.labels["worker"]: one.value
        for family in text_string_to_metric_families(server.get("/metrics").text)
        for one in family.samples
        if one.name == name and labels.items() <= one.labels.items()
    }


def ask(server: Running, times: int) -> None:
    """Ask so often, each time over a connection of its own."""
    for _ in range(times):
        answer = httpx.post(server.url + PREDICT, content=records_body(parcel()), trust_env=False)
        assert answer.status_code == 200


def test_whichever_worker_is_asked_counts_what_all_have_answered(server: Running, home: Home) -> None:
    ask(server, 40)

    for _ in range(5):
        answered = sample(server, "trainserve_predictor_requests_total", outcome="answered", interface="predict")
        assert sum(answered.values()) == 40
        assert sum(sample(server, "trainserve_log_records_committed").values()) == 40
    assert server.stop() == 0
    assert len(predictions(home)) == 40
    assert len(slots(home.spools)) == 2, "each worker leased a slot of its own"


def test_the_page_says_once_what_a_metric_is(server: Running) -> None:
    lines = server.get("/metrics").text.splitlines()
    types = [line for line in lines if line.startswith("# TYPE")]

    assert len(types) == len(set(types))
    assert "# TYPE trainserve_predictor_requests_total counter" in types
    assert all('worker="' in line for line in lines if not line.startswith("#"))


def test_a_worker_that_is_killed_is_started_again_and_takes_its_slot_up(server: Running, home: Home) -> None:
    ask(server, 10)
    first, second = server.workers
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(server.workers) == 2 and first not in server.workers)
    eventually(lambda: sample(server, "trainserve_worker_up") == {"1": 1.0, "2": 1.0}, within_s=60)
    ask(server, 10)

    assert second in server.workers
    assert "a worker ended and is started again" in server.printed
    assert server.stop() == 0
    assert len(predictions(home)) == 20
    assert len(slots(home.spools)) == 2


def test_while_one_is_away_the_page_says_so(server: Running) -> None:
    first, _ = server.workers
    os.kill(first, signal.SIGSTOP)
    try:
        eventually(lambda: sorted(sample(server, "trainserve_worker_up").values()) == [0.0, 1.0])
    finally:
        os.kill(first, signal.SIGCONT)


def test_no_worker_outlives_the_process_that_started_it(server: Running) -> None:
    workers = server.workers
    server.process.kill()
    server.process.wait()

    eventually(lambda: not any(_runs(worker) for worker in workers))


def test_what_keeps_workers_from_starting_ends_the_whole(home: Home) -> None:
    Approver(home)
    home.spools.write_bytes(b"no folder")
    with (
        pytest.raises(AssertionError, match="did not start: a worker ended with status 1 before it answered"),
        running(home, "predictor", USE_CASE, "--stand-alone", "--workers", "2", port=free_port()),
    ):
        pass


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
