"""What a shadow costs the champion: latency at a constant rate beside one that answers, one that hangs, and one that is gone.

The champion's predictor answers at once. All proxies run side by side on one core, idle but the one that is asked; load and
predictors share another.
"""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

import msgspec

from bench.case import free_ports, processor_s
from bench.figures import Line, Report, report
from bench.load import pinned
from bench.offered import Offered, put_offered
from bench.released import USE_CASE, release_flights
from bench.requests import LOAD_CORE, SERVER_CORE
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.interface.examples import example_record
from lake.listener import bind
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey, random_nonce
from lake.release.trust import Trust
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

RATE = 2_000.0
ROUNDS = 9
NONE, ANSWERS, HANGS, GONE = "no shadow", "shadow answers", "shadow hangs", "shadow is gone"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one proxy, and the processor time that the proxy took for a request."""

    load: Offered
    cpu_us: float


class ShadowFigure(Line, frozen=True, kw_only=True):
    """Medians over the rounds; `p99_of_none` is the median of the p99 over that without a shadow in the same round.

    `cpu_us` is the processor time of the proxy for a request, which tells the cost of a shadow where others disturb the clock.
    """

    name: str
    failed: int
    p50_ms: float
    p99_ms: float
    p99_of_none: float
    cpu_us: float
    rounds: list[Measured]

    def cells(self) -> dict[str, str]:
        """Latencies, and what a shadow made of them."""
        return {
            "what": self.name,
            "failed": str(self.failed),
            "p50 ms": f"{self.p50_ms:.2f}",
            "p99 ms": f"{self.p99_ms:.2f}",
            "p99 of no shadow": "" if self.name == NONE else f"{self.p99_of_none:.2f}",
            "CPU us a request": f"{self.cpu_us:.0f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all cases in turn, round after round: nine rounds, but for a quick look. `seconds` is the length of one load."""
    rounds = max(rounds, ROUNDS) if rounds > 1 else rounds
    home = Home.at(folder / "home")
    say("training and releasing the flight model")
    package_digest = release_flights(home)
    _release_shadow(home)
    body = folder / "body.json"
    body.write_bytes(msgspec.json.encode({"records": [example_record(read_input_schema(DocumentStore(home.lake), USE_CASE))]}))
    champion, answering, nobody, *ports = free_ports(7)
    mute = bind("127.0.0.1", 0, "a shadow that hangs")  # it takes connections, and never looks at them
    shadows = {NONE: None, ANSWERS: answering, HANGS: int(mute.getsockname()[1]), GONE: nobody}
    urls = {name: f"http://127.0.0.1:{port}/models/{USE_CASE}/predict" for name, port in zip(shadows, ports, strict=True)}
    measured: list[dict[str, Measured]] = []
    with closing(mute), Processes(folder / "logs", say) as processes:
        say("starting the servers")
        processes.start(_predictor("champion", champion, package_digest), _predictor("shadow", answering, package_digest))
        processes.start(*(_proxy(home, name, port, champion, shadows[name]) for name, port in zip(shadows, ports, strict=True)))
        for url in urls.values():
            put_offered(url, body, RATE, 1, LOAD_CORE)  # warm, and not counted
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            measured.append({name: _measured(processes.pid(name), url, body, seconds) for name, url in urls.items()})
    setup = f"{RATE:,.0f} requests a second of one row, {rounds} interleaved rounds of {seconds:g} s, medians"
    return report("shadow", setup, [_figure(name, measured) for name in urls])


def _measured(pid: int, url: str, body: Path, seconds: float) -> Measured:
    before_s = processor_s(pid)
    load = put_offered(url, body, RATE, seconds, LOAD_CORE)
    return Measured(load=load, cpu_us=(processor_s(pid) - before_s) / load.sent * 1_000_000)


def _figure(name: str, rounds: list[dict[str, Measured]]) -> ShadowFigure:
    loads = [one[name].load for one in rounds]
    return ShadowFigure(
        name=name,
        failed=sum(load.failed for load in loads),
        p50_ms=median(load.p50_ms for load in loads),
        p99_ms=median(load.p99_ms for load in loads),
        p99_of_none=median(one[name].load.p99_ms / one[NONE].load.p99_ms for one in rounds),
        cpu_us=median(one[name].cpu_us for one in rounds),
        rounds=[one[name] for one in rounds],
    )


def _release_shadow(home: Home) -> None:
    """Approve the champion's package as shadow as well, on an arm of its own."""
    key = PlatformKey.read_or_make(home.keys)
    ledger = Ledger(DocumentStore(home.lake), USE_CASE, Trust.in_key(key))
    ledger.poll()
    champion = ledger.entries[-1].decision
    decision = msgspec.structs.replace(champion, role="shadow", arm="shadow", nonce=random_nonce())
    ledger.append(decision, "bench", datetime.now(timezone.utc).isoformat(), key)


def _predictor(arm: str, port: int, package_digest: str) -> ProcessSpec:
    command = (*pinned(LOAD_CORE), sys.executable, "-m", "bench.upstream", str(port), package_digest, arm)
    return ProcessSpec(name=arm, command=command, ready_url=f"http://127.0.0.1:{port}/")


def _proxy(home: Home, name: str, port: int, champion: int, shadow: int | None) -> ProcessSpec:
    arms = {"champion": champion} | ({} if shadow is None else {"shadow": shadow})
    upstreams = ",".join(f"{USE_CASE}/{arm}=http://127.0.0.1:{where}" for arm, where in arms.items())
    return ProcessSpec(
        name=name,
        command=(*pinned(SERVER_CORE), *trainserve_command("proxy", "--port", str(port))),
        environment={**home.environment(), "PROXY_UPSTREAMS": upstreams},
        ready_url=f"http://127.0.0.1:{port}/health/ready",
    )
