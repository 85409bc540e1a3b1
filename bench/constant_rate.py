"""Latency at a constant rate, half and four fifths of the most that was reached, while what happens in a day happens.

Behind the proxy: the log's table is compacted, the champion rolled back, the parameters changed. Before the predictor alone: its
model is swapped. Nothing is pinned. A latency is counted from the moment at which its request was due, so that a server that
stands still for a second has a second of late requests, and not one.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from pathlib import Path

import httpx
import msgspec

from bench.case import Case
from bench.figures import Line, Report, report
from bench.load import FULL_SECONDS, put_load
from bench.offered import Offered, put_offered
from bench.released import USE_CASE, decide, seal_flights
from bench.requests import Flights
from lake.delta import Table
from lake.errors import TrainServeError, Unavailable
from lake.home import Home
from lake.log.maintenance import Upkeep, maintain
from lake.parameters.client import ParametersClient
from lake.parameters.document import change_of, content_of
from lake.tables import PREDICTIONS
from trainserve_assets.platform.processes import Processes

SPAN_S, QUICK_TIMES = 300.0, 4  # of a load; of a quick one so many times what it was given
SHARES = (0.5, 0.8)
CONNECTIONS = 32
_FOLLOWED_WITHIN_S = 10.0

Say = Callable[[str], None]
Event = Callable[[], str]


class Figure(Line, frozen=True, kw_only=True):
    """One load: which part of the most, what became of it, and what happened meanwhile."""

    name: str
    most_per_second: float
    share: float
    load: Offered
    happened: list[str]

    def cells(self) -> dict[str, str]:
        """Latencies from the moment at which a request was due; `sent late` is what the client itself may have added."""
        load = self.load
        return {
            "what": self.name,
            "requests/s": f"{self.most_per_second * self.share:,.0f} ({self.share:.0%} of {self.most_per_second:,.0f})",
            "sent": f"{load.sent:,}",
            "failed": str(load.failed),
            "p50 ms": f"{load.p50_ms:.2f}",
            "p99 ms": f"{load.p99_ms:.2f}",
            "p99.9 ms": f"{load.p999_ms:.2f}",
            "greatest ms": f"{load.greatest_ms:.1f}",
            "sent late, p99.9 ms": f"{load.late_p999_ms:.2f}",
        }


class NotFollowed(TrainServeError):
    """A release was not followed, so the figures would not mean what they say."""

    def __init__(self, url: str, found: str, expected: str) -> None:
        super().__init__(f"{url} still answers by package {found[:12]}, expected {expected[:12]}, which was made live")


def measure(folder: Path, rounds: int, seconds: float, say: Say) -> Report:
    """Load proxy and predictor at both rates: for five minutes each, but for a quick look. One round has requests enough."""
    del rounds
    span_s = SPAN_S if seconds >= FULL_SECONDS else seconds * QUICK_TIMES
    flights = Flights(folder, say)
    say("training another model, to roll back to")
    swaps = Swaps(flights.home, [flights.digest, seal_flights(flights.home, seed=2)])
    figures = []
    for case in (flights.proxy(), flights.predictor()):
        body = folder / "body.json"
        body.write_bytes(case.body)
        with Processes(folder / "logs", say) as processes:
            processes.start(*case.specs)
            put_load(case.url, body, CONNECTIONS, 1, None)  # warm, and not counted
            most = put_load(case.url, body, CONNECTIONS, min(span_s, FULL_SECONDS), None).requests_per_second
            for share in SHARES:
                say(f"{case.name}: {most * share:,.0f} requests a second for {span_s:g} s")
                load, happened = _loaded(case, body, most * share, span_s, _events(case, swaps), say)
                figures.append(Figure(name=case.name, most_per_second=most, share=share, load=load, happened=happened))
    setup = f"one flight a request at a constant rate for {span_s:g} s, nothing pinned; the most is what wrk reached before"
    return report("constant_rate", setup, figures)


def _loaded(case: Case, body: Path, rate: float, span_s: float, events: Sequence[Event], say: Say) -> tuple[Offered, list[str]]:
    """The load, with the events spread over it."""
    happened: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        load: Future[Offered] = pool.submit(put_offered, case.url, body, rate, span_s, None)
        for number, event in enumerate(events, start=1):
            wait([load], timeout=max(0.0, began + span_s * number / (len(events) + 1) - time.monotonic()))
            try:
                happened.append(event())
            except (TrainServeError, httpx.TransportError) as error:  # the load goes on, and its figures tell what it met
                happened.append(f"went wrong: {error}")
            say(f"  {happened[-1]}")
        return load.result(), happened


def _events(case: Case, swaps: "Swaps") -> list[Event]:
    if len(case.specs) == 1:
        return [lambda: swaps.roll_back(case.url, case.body)]
    proxy = case.url.partition("/models/")[0]
    return [
        lambda: _compact(swaps.home),
        lambda: swaps.roll_back(case.url, case.body),
        lambda: _change_parameters(proxy),
    ]


class Swaps:
    """Two packages on the champion's arm, of which the one that is not live is rolled back to."""

    def __init__(self, home: Home, packages: Sequence[str]) -> None:
        self.home = home
        self._other, self._live = packages
        decide(home, self._live)

    def roll_back(self, url: str, body: bytes) -> str:
        """Roll back, and wait until it is followed. Raises NotFollowed."""
        self._other, self._live = self._live, self._other
        decide(self.home, self._live, "roll back")
        began = time.monotonic()
        while (found := _package(url, body)) != self._live:
            if time.monotonic() - began > _FOLLOWED_WITHIN_S:
                raise NotFollowed(url, found, self._live)
        return f"rolled back, followed after {time.monotonic() - began:.1f} s"


def _package(url: str, body: bytes) -> str:
    answer = httpx.post(url, content=body, headers={"content-type": "application/json"}, trust_env=False, timeout=30)
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(url, f"status {answer.status_code}: {answer.text}")
    return str(answer.json()["provenance"]["package_digest"])


def _compact(home: Home) -> str:
    table = Table(home.lake, USE_CASE, PREDICTIONS)
    if not table.exists():
        return "nothing to compact, the shipper has moved nothing yet"
    done = maintain(table, Upkeep(), datetime.now(timezone.utc), thorough=False)
    return f"compacted, {done.joined_files} files joined, {done.files} left"


def _change_parameters(proxy: str) -> str:
    client = ParametersClient(proxy)
    before = client.get(USE_CASE)
    wanted = msgspec.structs.replace(content_of(before), timeout_s=before.timeout_s + 0.5)
    client.put(USE_CASE, before.version, change_of(wanted, "a change under load"))
    return f"parameters changed, to version {client.get(USE_CASE).version}"
