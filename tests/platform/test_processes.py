"""A group of real processes: ready when it says so, restarted when they die, and none left when it ends, however it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from lake.errors import SettingError
from lake.home import Home
from lake.listener import bind
from tests.ports import free_port, proxy_port
from tests.scenario import USE_CASE
from tests.served import eventually
from trainserve_assets.platform.processes import DidNotStart, Processes, ProcessSpec, trainserve_command
from trainserve_assets.platform.topology import Topology

ARMS = ((USE_CASE, "champion"), (USE_CASE, "challenger"))


@pytest.fixture
def restarts() -> list[str]:
    """What the group says about restarts."""
    return []


@pytest.fixture
def processes(home: Home, restarts: list[str]) -> Iterator[Processes]:
    """An empty group; whatever a test starts is stopped with it."""
    with Processes(home.logs, restarts.append) as processes:
        yield processes


def sleeper(name: str, seconds: float = 1000) -> ProcessSpec:
    """A process that does nothing for so long, and then ends badly."""
    return ProcessSpec(name=name, command=(sys.executable, "-c", f"import time; time.sleep({seconds}); raise SystemExit(7)"))


def is_running(pid: int) -> bool:
    """Whether the process lives; a zombie, which only waits to be collected, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def predictor(home: Home, port: int) -> ProcessSpec:
    return ProcessSpec(
        name="predictor",
        command=trainserve_command("predictor", USE_CASE, "--port", str(port)),
        environment=home.environment(),
        ready_url=f"http://127.0.0.1:{port}/health/live",
    )


def test_start_returns_when_all_are_ready_and_leaving_stops_them(home: Home) -> None:
    port = free_port()
    with Processes(home.logs, print) as processes:
        processes.start(predictor(home, port), sleeper("sleeper"))
        pids = [processes.pid("predictor"), processes.pid("sleeper")]
        with socket.create_connection(("127.0.0.1", port)):
            assert all(map(is_running, pids))

    assert not any(map(is_running, pids))


def test_a_killed_process_is_started_again_and_said(processes: Processes, restarts: list[str]) -> None:
    processes.start(sleeper("one"), sleeper("two"))
    before = {name: processes.pid(name) for name in ("one", "two")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    eventually(lambda: all(processes.pid(name) != pid and is_running(processes.pid(name)) for name, pid in before.items()))
    assert sorted(restarts) == [f"{name} ended with status -9 and is started again" for name in ("one", "two")]


def test_one_that_keeps_dying_does_not_hold_up_the_others(processes: Processes, restarts: list[str]) -> None:
    processes.start(sleeper("dying", 0.01), sleeper("steady"))
    eventually(lambda: len(restarts) >= 3)
    steady = processes.pid("steady")
    os.kill(steady, signal.SIGKILL)

    eventually(lambda: processes.pid("steady") != steady, within_s=1.5)


def test_one_that_keeps_dying_is_started_ever_less_often(home: Home) -> None:
    starts: list[float] = []
    with Processes(home.logs, lambda _: starts.append(monotonic())) as processes:
        processes.start(sleeper("dying", 0.01))
        eventually(lambda: len(starts) == 4)

    assert [later - earlier > pause_s for (earlier, later), pause_s in zip(pairwise(starts), (0.5, 1, 2), strict=True)] == [
        True
    ] * 3


def test_one_that_was_stopped_is_not_started_again(processes: Processes, restarts: list[str]) -> None:
    processes.start(sleeper("one"), sleeper("two"))
    one, two = processes.pid("one"), processes.pid("two")
    processes.stop_one("one")
    assert not is_running(one)
    os.kill(two, signal.SIGKILL)

    eventually(lambda: bool(restarts))
    assert restarts == ["two ended with status -9 and is started again"]


def test_what_its_parent_ignores_stops_a_process_all_the_same(processes: Processes) -> None:
    heard = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as who was started in the background of a script may have it
    try:
        processes.start(sleeper("one"))
    finally:
        signal.signal(signal.SIGTERM, heard)
    began = monotonic()
    processes.stop_one("one")

    assert monotonic() - began < 20


def test_a_process_that_ends_instead_of_starting_is_named_with_the_end_of_its_log(processes: Processes, home: Home) -> None:
    with bind("127.0.0.1", 0, "a test") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(DidNotStart) as refused:
            processes.start(predictor(home, port))

    assert "predictor did not start: it ended with status 1. The end of its log" in str(refused.value)
    assert f"the address of the predictor of {USE_CASE}/champion is '127.0.0.1:{port}', expected one that is free" in str(
        refused.value
    ).replace("\n", " ")


def test_a_process_that_stays_silent_is_named(processes: Processes) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    command = (sys.executable, "-c", "import time; print('waiting for nobody', flush=True); time.sleep(1000)")
    with pytest.raises(DidNotStart, match=f"silent did not start: {url} does not answer") as refused:
        processes.start(ProcessSpec(name="silent", command=command, ready_url=url), ready_within_s=1.0)

    assert str(refused.value).endswith("waiting for nobody")


def test_nothing_is_left_running_when_the_parent_is_killed(home: Home, tmp_path: Path) -> None:
    told = tmp_path / "pids"
    script = f"""
import time
from pathlib import Path
from tests.platform.test_processes import predictor, sleeper
from lake.home import Home
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

home = Home.at(Path({str(home.root)!r}))
shipper = ProcessSpec(name="shipper", command=trainserve_command("shipper"), environment=home.environment())
with Processes(home.logs, print) as processes:
    processes.start(predictor(home, {free_port()}), shipper, sleeper("sleeper"))
    Path({str(told)!r}).write_text(" ".join(str(processes.pid(name)) for name in ("predictor", "shipper", "sleeper")))
    time.sleep(1000)
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        eventually(lambda: told.exists() and len(told.read_text().split()) == 3, within_s=60)
        pids = [int(pid) for pid in told.read_text().split()]
        assert all(map(is_running, pids))
    finally:
        parent.kill()
        parent.wait()

    eventually(lambda: not any(map(is_running, pids)), within_s=60)


@pytest.mark.parametrize(
    ("offset", "what"),
    [(0, "the proxy"), (101, f"the predictor of {USE_CASE}/champion"), (102, f"the predictor of {USE_CASE}/challenger")],
)
def test_a_port_in_use_is_named_before_anything_starts(home: Home, offset: int, what: str) -> None:
    first = proxy_port(len(ARMS))
    port = first + offset
    with bind("127.0.0.1", port, "a test"):
        topology = Topology(home=home, host="127.0.0.1", proxy_port=first, dagit_port=port, arms=ARMS)
        with pytest.raises(SettingError) as refused:
            topology.check_ports(dagit=False)

    assert f"the address of {what}" in str(refused.value)
    assert f"127.0.0.1:{port}" in str(refused.value)


def test_dagits_port_is_checked_where_dagit_is_wanted(home: Home) -> None:
    with bind("127.0.0.1", 0, "a test") as listener:
        port = listener.getsockname()[1]
        topology = Topology(home=home, host="127.0.0.1", proxy_port=free_port(), dagit_port=port, arms=())
        topology.check_ports(dagit=False)
        with pytest.raises(SettingError, match="the address of Dagit"):
            topology.check_ports(dagit=True)
