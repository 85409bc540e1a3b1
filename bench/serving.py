"""Requests a second and latency of the predictor alone, and of proxy and predictor with the durable log.

Each stands beside a bare Litestar echo of the same round. The predictor and its echo are pinned to one core and wrk to
another; proxy, predictor, shipper, their echo and wrk share all cores, unpinned.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.figures import Report, figures, report
from bench.load import Load, pinned, put_load
from bench.released import USE_CASE, release_flights
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import read_input_schema
from lake.interface.examples import example_record
from lake.listener import bind
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (32, 1)
ECHO, PREDICTOR, ECHO_UNPINNED, WHOLE = "echo, one core", "predictor, one core", "echo, unpinned", "proxy + predictor + log"
REFERENCES = {ECHO: ECHO, PREDICTOR: ECHO, ECHO_UNPINNED: ECHO_UNPINNED, WHOLE: ECHO_UNPINNED}


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure all cases in turn, round after round. `seconds` is the length of one load."""
    home = Home.at(folder / "home")
    say("training and releasing the flight model")
    release_flights(home)
    body = folder / "body.json"
    body.write_bytes(msgspec.json.encode({"records": [example_record(read_input_schema(DocumentStore(home.lake), USE_CASE))]}))
    ports = dict(zip(("echo", "predictor", "echo-unpinned", "upstream", "proxy"), free_ports(5), strict=True))
    predict = f"/models/{USE_CASE}/predict"
    cases = {
        ECHO: (f"http://127.0.0.1:{ports['echo']}/echo", LOAD_CORE),
        PREDICTOR: (f"http://127.0.0.1:{ports['predictor']}{predict}", LOAD_CORE),
        ECHO_UNPINNED: (f"http://127.0.0.1:{ports['echo-unpinned']}/echo", None),
        WHOLE: (f"http://127.0.0.1:{ports['proxy']}{predict}", None),
    }
    measured: list[dict[tuple[str, int], Load]] = []
    with Processes(folder / "logs", say) as processes:
        say("starting the servers")
        processes.start(*_servers(home, ports))
        for url, core in cases.values():
            put_load(url, body, CONNECTIONS[0], 1, core)  # warm, and not counted
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            measured.append(
                {
                    (name, connections): put_load(url, body, connections, seconds, core)
                    for connections in CONNECTIONS
                    for name, (url, core) in cases.items()
                }
            )
    setup = f"one flight a request, CatBoost, {rounds} interleaved rounds of {seconds:g} s, medians"
    return report("serving", setup, figures(measured, REFERENCES))


def _servers(home: Home, ports: dict[str, int]) -> list[ProcessSpec]:
    environment = {**home.environment(), "OMP_NUM_THREADS": "1"}
    on_one_core = tuple(pinned(SERVER_CORE))

    def echo(name: str, prefix: tuple[str, ...]) -> ProcessSpec:
        return ProcessSpec(name=name, command=(*prefix, sys.executable, "-m", "bench.echo", str(ports[name])))

    def server(name: str, prefix: tuple[str, ...], *arguments: str, **variables: str) -> ProcessSpec:
        return ProcessSpec(
            name=name,
            command=(*prefix, *trainserve_command(*arguments, "--port", str(ports[name]))),
            environment={**environment, **variables},
            ready_url=f"http://127.0.0.1:{ports[name]}/health/ready",
        )

    upstreams = f"{USE_CASE}/champion=http://127.0.0.1:{ports['upstream']}"
    return [
        echo("echo", on_one_core),
        echo("echo-unpinned", ()),
        server("predictor", on_one_core, "predictor", USE_CASE),
        server("upstream", (), "predictor", USE_CASE),
        server("proxy", (), "proxy", PROXY_UPSTREAMS=upstreams),
        ProcessSpec(name="shipper", command=trainserve_command("shipper"), environment=environment),
    ]


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are found."""
    listeners = [bind("127.0.0.1", 0, "a benchmark") for _ in range(count)]
    found = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return found
