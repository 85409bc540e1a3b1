"""What the log costs the proxy: requests a second by what an answer waits for, beside a proxy that logs nothing.

The predictor answers at once and the shipper is not there, so that nothing but the proxy's own work is measured. The proxy is
pinned to one core; wrk and the predictor share another. All proxies run side by side, idle but the one that is asked.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from bench.altered import NO_LOG
from bench.case import free_ports, processor_s
from bench.figures import Line, Report, report
from bench.load import Load, pinned, put_load
from bench.released import USE_CASE, release_flights
from bench.requests import LOAD_CORE, SERVER_CORE
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.interface.examples import example_record
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

CONNECTIONS = 32
NOTHING, PROCESS, DISK = "no log", "durability process", "durability disk"
SLOWER_MS = (1, 5)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one proxy, and the processor time that the proxy took for a request."""

    load: Load
    cpu_us: float


class LogFigure(Line, frozen=True, kw_only=True):
    """Medians over the rounds; the shares are medians of what remains of the reference's requests a second in a round.

    `cpu_us` is the processor time of the proxy for a request, which tells the cost of the log where others disturb the clock.
    """

    name: str
    requests_per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    of_no_log: float
    of_process: float
    rounds: list[Measured]

    def cells(self) -> dict[str, str]:
        """Requests a second, and what remains of those without a log."""
        return {
            "what": self.name,
            "requests/s": f"{self.requests_per_second:,.0f}",
            "of no log": f"{self.of_no_log:.2f}",
            "of durability process": f"{self.of_process:.2f}",
            "cpu us a request": f"{self.cpu_us:,.0f}",
            "p50 ms": f"{self.p50_ms:.2f}",
            "p99 ms": f"{self.p99_ms:.2f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all proxies in turn, round after round. `seconds` is the length of one load."""
    home = Home.at(folder / "home")
    say("training and releasing the flight model")
    package_digest = release_flights(home)
    body = folder / "body.json"
    body.write_bytes(msgspec.json.encode({"records": [example_record(read_input_schema(DocumentStore(home.lake), USE_CASE))]}))
    upstream, *ports = free_ports(1 + len(_proxies()))
    urls = {name: f"http://127.0.0.1:{port}/models/{USE_CASE}/predict" for name, port in zip(_proxies(), ports, strict=True)}
    measured: list[dict[str, Measured]] = []
    with Processes(folder / "logs", say) as processes:
        say("starting the proxies")
        processes.start(_predictor(upstream, package_digest))
        processes.start(*(_proxy(home, name, port, upstream) for name, port in zip(_proxies(), ports, strict=True)))
        for url in urls.values():
            put_load(url, body, CONNECTIONS, 1, LOAD_CORE)  # warm, and not counted
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            measured.append({name: _measured(processes.pid(name), url, body, seconds) for name, url in urls.items()})
    setup = (
        f"one row a request, {CONNECTIONS} connections, {rounds} interleaved rounds of {seconds:g} s, medians; "
        f"an fsync of this disk takes {_sync_ms(home.spools):.2f} ms"
    )
    return report("log_overhead", setup, [_figure(name, measured) for name in urls])


def _proxies() -> dict[str, tuple[str, ...]]:
    """The command of each proxy, without where it listens."""
    altered = (sys.executable, "-m", "bench.altered")
    slower = {f"{DISK}, fsync {ms} ms slower": (*altered, str(ms), "proxy") for ms in SLOWER_MS}
    return {
        NOTHING: (*altered, NO_LOG, "proxy"),
        PROCESS: trainserve_command("proxy", "--durability", "process"),
        DISK: trainserve_command("proxy"),
        **slower,
    }


def _measured(pid: int, url: str, body: Path, seconds: float) -> Measured:
    before_s = processor_s(pid)
    load = put_load(url, body, CONNECTIONS, seconds, LOAD_CORE)
    return Measured(load=load, cpu_us=(processor_s(pid) - before_s) / (load.requests_per_second * seconds) * 1_000_000)


def _figure(name: str, rounds: list[dict[str, Measured]]) -> LogFigure:
    loads = [one[name].load for one in rounds]

    def share_of(reference: str) -> float:
        return median(one[name].load.requests_per_second / one[reference].load.requests_per_second for one in rounds)

    return LogFigure(
        name=name,
        requests_per_second=median(load.requests_per_second for load in loads),
        cpu_us=median(one[name].cpu_us for one in rounds),
        p50_ms=median(load.p50_ms for load in loads),
        p99_ms=median(load.p99_ms for load in loads),
        of_no_log=share_of(NOTHING),
        of_process=share_of(PROCESS),
        rounds=[one[name] for one in rounds],
    )


def _predictor(port: int, package_digest: str) -> ProcessSpec:
    command = (*pinned(LOAD_CORE), sys.executable, "-m", "bench.upstream", str(port), package_digest)
    return ProcessSpec(name="upstream", command=command, ready_url=f"http://127.0.0.1:{port}/")


def _proxy(home: Home, name: str, port: int, upstream: int) -> ProcessSpec:
    upstreams = f"{USE_CASE}/champion=http://127.0.0.1:{upstream}"
    return ProcessSpec(
        name=name,
        command=(*pinned(SERVER_CORE), *_proxies()[name], "--port", str(port)),
        environment={**home.environment(), "PROXY_UPSTREAMS": upstreams},
        ready_url=f"http://127.0.0.1:{port}/health/ready",
    )


def _sync_ms(folder: Path) -> float:
    """How long a small write takes to be on this disk: the median of a hundred."""
    path = folder / "measured"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(512))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return median(times) * 1000
