"""Seconds from the start of a server until it says that it is ready, and the most memory that it takes, beside FastAPI.

Ours run in the environment that a server image has, FastAPI in its own. Nothing else works while one starts; the predictor
behind the proxy waits, idle. Whether it is ready is asked every 5 ms, over a connection of its own. The environment stands
in `.bench/serving` and is made at the first use.
"""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import msgspec

from bench.case import Case, peak_memory_mb, processor_s
from bench.figures import Line, Report, report
from bench.load import FULL_SECONDS
from bench.peer import ENVIRONMENTS, FASTAPI, FASTAPI_OURS
from bench.requests import PREDICTOR, Flights
from lake.errors import Unavailable
from trainserve_assets.platform.processes import DidNotStart, Processes, ProcessSpec

REFERENCE_PREDICTOR, ONLY_PROXY = "predictor, CatBoost's own engine", "proxy"
REFERENCE = FASTAPI_OURS
LOCK = "requirements-serving.lock"
_SERVING = ENVIRONMENTS / "serving"
_LOOK_S = 0.005
_READY_WITHIN_S = 60.0
_REQUESTS = 200

Say = Callable[[str], None]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """One start: seconds until it was ready, by the clock and of processor time, and the greatest memory then and later."""

    seconds: float
    cpu_seconds: float
    ready_mb: float
    peak_mb: float


class StartFigure(Line, frozen=True, kw_only=True):
    """Medians over the rounds; `ratio` is that of the seconds over the reference's in the same round.

    The processor time tells the cost of a start where others disturb the clock.
    """

    name: str
    seconds: float
    cpu_seconds: float
    ready_mb: float
    peak_mb: float
    ratio: float | None
    rounds: list[Started]

    def cells(self) -> dict[str, str]:
        """Seconds to ready, also as a multiple of the reference's, and memory."""
        return {
            "what": self.name,
            "s to ready": f"{self.seconds:.2f}",
            f"x {REFERENCE}": "" if self.ratio is None else f"{self.ratio:.2f}",
            "cpu s": f"{self.cpu_seconds:.2f}",
            "MB when ready": f"{self.ready_mb:.0f}",
            f"peak MB, {_REQUESTS} requests": f"{self.peak_mb:.0f}",
        }


def measure(folder: Path, rounds: int, seconds: float, say: Say) -> Report:
    """Start all cases in turn, round after round. A quick run without the environment starts ours in this very one."""
    python = _serving_python(say) if seconds >= FULL_SECONDS or _SERVING.exists() else sys.executable
    flights = Flights(folder / "fastest", say)
    reference = Flights(folder / "reference", say, "reference")
    cases = [
        _renamed(_run_by(python, flights.predictor()), PREDICTOR),
        _renamed(_run_by(python, reference.predictor()), REFERENCE_PREDICTOR),
        _renamed(_run_by(python, flights.proxy()), ONLY_PROXY),
        *flights.peers([FASTAPI_OURS, FASTAPI], seconds),
    ]
    measured: list[dict[str, Started]] = []
    for number in range(rounds):
        found = {}
        for case in cases:
            say(f"round {number + 1} of {rounds}: {case.name}")
            found[case.name] = _started(case, folder, say)
        measured.append(found)
    setup = f"one worker, unpinned, {rounds} interleaved rounds, medians; load average {os.getloadavg()[0]:.1f}"
    return report("start", setup, [figure(case.name, measured) for case in cases])


def _serving_python(say: Say) -> str:
    """The interpreter of the environment that has what `LOCK` names. Raises Unavailable with what its maker said."""
    say(f"making the environment of {LOCK}, where it is not there")
    command = ["/bin/sh", "deploy/environment.sh", LOCK, str(_SERVING)]
    made = subprocess.run(command, cwd=ENVIRONMENTS.parent, capture_output=True, text=True, check=False)
    if made.returncode:
        raise Unavailable(f"the environment of {LOCK}", made.stderr.strip()[-1000:], "pip has to reach a package index.")
    return str(_SERVING / "bin" / "python")


def _run_by(python: str, case: Case) -> Case:
    """The servers of a case, run by another interpreter; what moves the log elsewhere stays away."""
    specs = (msgspec.structs.replace(spec, command=(python, *spec.command[1:])) for spec in case.specs if spec.ready_url)
    return msgspec.structs.replace(case, specs=tuple(specs))


def _renamed(case: Case, name: str) -> Case:
    return msgspec.structs.replace(case, name=name)


def _started(case: Case, folder: Path, say: Say) -> Started:
    """One start of the last of the case's servers, once the others are ready. Raises DidNotStart, Unavailable."""
    *before, spec = case.specs
    logs = folder / "logs"
    with Processes(logs, say) as processes, (logs / "started.log").open("wb") as log:
        processes.start(*before)
        began = time.perf_counter()
        process = subprocess.Popen(
            spec.command, env={**os.environ, **spec.environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            seconds = _ready_at(spec, process, Path(log.name)) - began
            cpu_seconds, ready_mb = processor_s(process.pid), peak_memory_mb(process.pid)
            for _ in range(_REQUESTS):
                _ask("POST", case.url, case.body)
            peak_mb = peak_memory_mb(process.pid)
            return Started(seconds=seconds, cpu_seconds=cpu_seconds, ready_mb=ready_mb, peak_mb=peak_mb)
        finally:
            process.terminate()
            process.wait()


def _ready_at(spec: ProcessSpec, process: "subprocess.Popen[bytes]", log: Path) -> float:
    """The moment, by `time.perf_counter`, at which it was seen to be ready. Raises DidNotStart."""
    assert spec.ready_url is not None  # noqa: S101 - `_run_by` kept no other
    until = time.perf_counter() + _READY_WITHIN_S
    while time.perf_counter() < until and process.poll() is None:
        try:
            _ask("GET", spec.ready_url)
        except (OSError, Unavailable):
            time.sleep(_LOOK_S)
        else:
            return time.perf_counter()
    raise DidNotStart(spec.name, f"{spec.ready_url} does not answer", log)


def _ask(method: str, url: str, body: bytes | None = None) -> None:
    """Raises OSError where nobody listens, Unavailable for an answer that is none."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, address.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Unavailable(url, f"{answer.status} {said.decode(errors='replace')[:200]}", "It answers 200 when it works.")


def figure(name: str, rounds: Sequence[Mapping[str, Started]]) -> StartFigure:
    """What the rounds measured of one case."""
    starts = [one[name] for one in rounds]
    ratios = [one[name].seconds / one[REFERENCE].seconds for one in rounds if REFERENCE in one]
    return StartFigure(
        name=name,
        seconds=median(start.seconds for start in starts),
        cpu_seconds=median(start.cpu_seconds for start in starts),
        ready_mb=median(start.ready_mb for start in starts),
        peak_mb=median(start.peak_mb for start in starts),
        ratio=median(ratios) if ratios else None,
        rounds=starts,
    )
