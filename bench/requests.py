"""Requests a second and latency of one row a request, beside a bare echo and other servers of the same model.

Two benchmarks. `predictor`: one worker on one core and wrk on another. `proxy`: proxy, predictor and shipper with the
durable log, nothing pinned, beside others unpinned too. Nothing but what is measured runs meanwhile.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.case import Case, Measured, free_ports
from bench.case import measure as measure_case
from bench.figures import Report, figures, report
from bench.load import FULL_SECONDS, pinned
from bench.peer import BENTOML, FASTAPI, FASTAPI_OURS, MLFLOW, PEERS, Model, is_installed, peer_case, peer_model
from bench.released import USE_CASE, release_flights
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.interface.examples import example_record
from lake.package import open_package
from trainserve_assets.platform.processes import ProcessSpec, trainserve_command
from trainserve_assets.use_case import EngineChoice

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (32, 1)
ECHO, PREDICTOR, ALONE = "echo", "predictor", "predictor, own log"
PROXY, TWO_WORKERS = "proxy + predictor + log", "proxy of two workers + predictor + log"
REFERENCES = {"predictor": (ECHO, FASTAPI, FASTAPI_OURS, MLFLOW), "proxy": (ECHO, FASTAPI, FASTAPI_OURS, BENTOML, MLFLOW)}
PREDICT = f"/models/{USE_CASE}/predict"

Say = Callable[[str], None]


def measure_predictor(folder: Path, rounds: int, seconds: float, say: Say) -> Report:
    """The predictor alone, on one core."""
    flights = Flights(folder, say)
    prefix = tuple(pinned(SERVER_CORE))
    ours = [flights.echo(prefix), flights.predictor(prefix), flights.predictor(prefix, alone=True)]
    cases = [*ours, *flights.peers([peer.name for peer in PEERS], seconds, prefix)]
    setup = f"one flight a request, one worker on one core, {rounds} interleaved rounds of {seconds:g} s, medians"
    measured = _rounds(cases, folder, rounds, seconds, LOAD_CORE, say)
    return report("predictor", setup, figures(measured, REFERENCES["predictor"]))


def measure_proxy(folder: Path, rounds: int, seconds: float, say: Say) -> Report:
    """The whole way of a request, with the durable log, on all cores."""
    flights = Flights(folder, say)
    cases = [flights.echo(), flights.proxy(), flights.proxy(workers=2), *flights.peers(REFERENCES["proxy"], seconds)]
    setup = f"one flight a request, nothing pinned, {rounds} interleaved rounds of {seconds:g} s, medians"
    return report("proxy", setup, figures(_rounds(cases, folder, rounds, seconds, None, say), REFERENCES["proxy"]))


def _rounds(
    cases: Sequence[Case], folder: Path, rounds: int, seconds: float, core: int | None, say: Say
) -> list[dict[str, Measured]]:
    measured = []
    for number in range(rounds):
        found = {}
        for case in cases:
            say(f"round {number + 1} of {rounds}: {case.name}")
            found[case.name] = measure_case(case, folder, CONNECTIONS, seconds, core, say)
        measured.append(found)
    return measured


class Flights:
    """A home with the released flight model, and the cases that serve it."""

    def __init__(self, folder: Path, say: Say, engine: EngineChoice = "fastest") -> None:
        say("training and releasing the flight model")
        self.home = Home.at(folder / "home")
        self.digest = release_flights(self.home, engine)
        self.store = store = DocumentStore(self.home.lake)
        schema = read_input_schema(store, USE_CASE)
        self.body = msgspec.json.encode({"records": [example_record(schema)]})
        self.model: Model = peer_model(folder / "peers", open_package(store, USE_CASE, self.digest), schema)
        self._ports = free_ports(3 + len(PEERS))

    def echo(self, prefix: tuple[str, ...] = ()) -> Case:
        """The bare echo."""
        port = self._ports[0]
        address = f"http://127.0.0.1:{port}"
        spec = ProcessSpec(
            name="echo", command=(*prefix, sys.executable, "-m", "bench.echo", str(port)), ready_url=f"{address}/ready"
        )
        return Case(name=ECHO, specs=(spec,), url=f"{address}/echo", body=self.body)

    def predictor(self, prefix: tuple[str, ...] = (), *, alone: bool = False) -> Case:
        """The predictor without a log, or alone, with its own."""
        spec = server(
            self.home, "predictor", self._ports[1], prefix, "predictor", USE_CASE, *(["--stand-alone"] if alone else [])
        )
        return Case(
            name=ALONE if alone else PREDICTOR, specs=(spec,), url=f"http://127.0.0.1:{self._ports[1]}{PREDICT}", body=self.body
        )

    def proxy(self, workers: int = 1) -> Case:
        """Proxy, predictor and shipper."""
        upstream, port = self._ports[1:3]
        variables = {
            "PROXY_UPSTREAMS": f"{USE_CASE}/champion=http://127.0.0.1:{upstream}",
            "TRAINSERVE_WORKERS": str(workers),
        }
        specs = (
            server(self.home, "predictor", upstream, (), "predictor", USE_CASE),
            server(self.home, "proxy", port, (), "proxy", **variables),
            ProcessSpec(name="shipper", command=trainserve_command("shipper"), environment=self.home.environment()),
        )
        name = PROXY if workers == 1 else TWO_WORKERS
        return Case(name=name, specs=specs, url=f"http://127.0.0.1:{port}{PREDICT}", body=self.body)

    def peers(self, names: Sequence[str], seconds: float, prefix: tuple[str, ...] = ()) -> list[Case]:
        """The peers of these names; in a quick run those alone that are installed."""
        chosen = [peer for peer in PEERS if peer.name in names and (seconds >= FULL_SECONDS or is_installed(peer))]
        return [peer_case(peer, self.model, port, prefix) for peer, port in zip(chosen, self._ports[3:], strict=False)]


def server(home: Home, name: str, port: int, prefix: tuple[str, ...], *arguments: str, **variables: str) -> ProcessSpec:
    """A server of a home, as an operator starts it."""
    return ProcessSpec(
        name=name,
        command=(*prefix, *trainserve_command(*arguments, "--port", str(port))),
        environment={**home.environment(), "OMP_NUM_THREADS": "1", **variables},
        ready_url=f"http://127.0.0.1:{port}/health/ready",
    )
