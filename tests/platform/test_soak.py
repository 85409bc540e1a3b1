"""Half an hour of load: no server grows, none keeps a descriptor, and every request is answered.

`SOAK_S` says how many seconds it takes, for who wants to see it at work: `SOAK_S=60 pytest -m slow tests/platform/test_soak.py`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import linear_regression
from time import monotonic, sleep

import msgspec
import pytest

from lake.home import Home
from lake.log.audit import Audit, Scope
from lake.log.backlog import backlog
from tests.commands import Running, running
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, toy
from tests.steady_clients import SteadyClients
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

HALF_AN_HOUR_S = 1800
GREATEST_SLOPE_MB_A_MINUTE = 1.0
SAMPLES = 200
WARM_AFTER = 0.3  # of the time: until then caches and pools fill


class Sample(msgspec.Struct, frozen=True):
    """What a process holds at a moment."""

    minute: float
    megabytes: float
    descriptors: int


def sample(process: int, minute: float) -> Sample:
    """Look at a process."""
    folder = Path(f"/proc/{process}")
    [resident] = [line.split()[1] for line in (folder / "status").read_text().splitlines() if line.startswith("VmRSS")]
    return Sample(minute, int(resident) / 1024, len(list((folder / "fd").iterdir())))


@contextmanager
def shipping(home: Home) -> Iterator[None]:
    """A shipper, without which the disk would fill."""
    with Processes(home.logs, print) as processes:
        processes.start(ProcessSpec(name="shipper", command=trainserve_command("shipper"), environment=home.environment()))
        yield


@pytest.mark.slow
@pytest.mark.timeout(HALF_AN_HOUR_S + 600)
def test_under_load_no_server_grows_and_none_keeps_a_descriptor(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = float(os.environ.get("SOAK_S", HALF_AN_HOUR_S))
    Approver(home).release(toy())
    with ExitStack() as stack:
        stack.enter_context(shipping(home))
        log = ("--access-log", str(tmp_path / "access.log"))
        alone = stack.enter_context(running(home, "predictor", USE_CASE, "--stand-alone", "--workers", "2", *log))
        predictor = stack.enter_context(running(home, "predictor", USE_CASE))
        upstreams = {"PROXY_UPSTREAMS": f"{USE_CASE}/champion={predictor.url}"}
        proxy = stack.enter_context(running(home, "proxy", environment=upstreams))
        loads = [SteadyClients(url, kept=0, thoughts_s=(0.005, 0.01, 0.02), fresh=1) for url in (alone.url, proxy.url)]
        eventually(lambda: all(load.answered > 100 for load in loads))
        seen = watched({"alone": alone, "predictor": predictor, "proxy": proxy}, seconds)
        for load in loads:
            load.stop()
        assert [server.stop() for server in (proxy, predictor, alone)] == [0, 0, 0]
        eventually(lambda: backlog(home).bytes == 0, within_s=120)

    for load in loads:
        assert (load.lost, set(load.answers)) == ([], {200})
    assert list(Audit(home, Scope()).findings()) == []
    for name, samples in seen.items():
        warm = [one for one in samples if one.minute * 60 >= WARM_AFTER * seconds]
        slope, _ = linear_regression([one.minute for one in warm], [one.megabytes for one in warm])
        early, late = warm[: len(warm) // 2], warm[len(warm) // 2 :]
        most = [max(one.descriptors for one in half) for half in (early, late)]
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {warm[-1].megabytes:.0f} MB, {slope:+.2f} a minute, at most {most[1]} descriptors")
        assert slope < GREATEST_SLOPE_MB_A_MINUTE, f"{name} grows by {slope:.2f} MB a minute"
        assert most[1] <= most[0] + 2, f"{name} had at most {most[0]} descriptors, and later {most[1]}"


def watched(servers: dict[str, Running], seconds: float) -> dict[str, list[Sample]]:
    """What every process of these servers held, from now on for so long."""
    processes = {
        f"{name} {place}": process
        for name, server in servers.items()
        for place, process in enumerate([server.process.pid, *server.workers])
    }
    seen: dict[str, list[Sample]] = {name: [] for name in processes}
    began = monotonic()
    while (passed := monotonic() - began) < seconds:
        for name, process in processes.items():
            seen[name].append(sample(process, passed / 60))
        sleep(seconds / SAMPLES)
    return seen
