"""What twenty rules and three arms cost: proxy, predictors and log before one arm without a rule, and before three with twenty.

Each row is held against all of the rules, and none fires. Each request is handed out for itself, so that all arms are asked.
Nothing is pinned, and the pairs are compared within a round.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.case import Case, Measured, free_ports
from bench.case import measure as measure_case
from bench.figures import Report, figures, report
from bench.released import USE_CASE, decide
from bench.requests import PREDICT, Flights, server
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.parameters import Arm, Parameters, publish_parameters
from lake.parameters.rules import Any as AnyOf
from lake.parameters.rules import Compare, Rule, Shift
from trainserve_assets.platform.processes import Processes, ProcessSpec, trainserve_command

CONNECTIONS = 32
RULES = 20
SHARES = {"champion": 0.0, "second": 0.33, "third": 0.33}
ONE, MANY = "one arm", f"three arms and {RULES} rules"


class NotInForce(TrainServeError):
    """The proxy goes by other parameters than were to be measured."""

    def __init__(self, found: tuple[int, list[str]]) -> None:
        super().__init__(
            f"the proxy goes by version {found[0]} of the parameters with arms {found[1]}, expected 1, {sorted(SHARES)}"
        )


def measure(folder: Path, rounds: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Measure both in turn, round after round. `seconds` is the length of one load."""
    flights = Flights(folder, say)
    cases = [msgspec.structs.replace(flights.proxy(), name=ONE), _many(flights, Home.at(folder / "many"))]
    _check_in_force(cases[1], folder, say)
    measured: list[dict[str, Measured]] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        measured.append({case.name: measure_case(case, folder, (CONNECTIONS,), seconds, None, say) for case in cases})
    setup = f"one flight a request, nothing pinned, {rounds} interleaved rounds of {seconds:g} s, medians"
    return report("rules", setup, figures(measured, [ONE]))


def idle_rules(record: dict[str, Any], count: int) -> tuple[Rule, ...]:
    """So many rules that are all held against a record, each in two comparisons, of which none holds."""
    known = [(name, value) for name, value in record.items() if value is not None]
    rules = []
    for number in range(count):
        pair = (known[(2 * number + further) % len(known)] for further in (0, 1))
        when = AnyOf(of=tuple(Compare(field=name, by="!=", value=value) for name, value in pair))
        rules.append(Rule(name=f"rule_{number}", when=when, then=(Shift(by=0.01),)))
    return tuple(rules)


def _check_in_force(case: Case, folder: Path, say: Callable[[str], None]) -> None:
    """Raises NotInForce unless the proxy goes by the rules, and hands requests out to all arms."""
    with Processes(folder / "logs", say) as processes:
        processes.start(*case.specs)
        ready = httpx.get(case.url.partition("/models/")[0] + "/health/ready", trust_env=False, timeout=30).json()
    found = (ready["parameters"][USE_CASE]["version"], sorted(ready["arms"][USE_CASE]))
    if found != (1, sorted(SHARES)):
        raise NotInForce(found)


def _many(flights: Flights, home: Home) -> Case:
    """The same package on three arms, behind a proxy with rules."""
    shutil.copytree(flights.home.root, home.root)
    store = DocumentStore(home.lake)
    for arm in SHARES:
        if arm != "champion":
            decide(home, flights.digest, role="challenger", arm=arm)
    proxy, *ports = free_ports(1 + len(SHARES))
    urls = {arm: f"http://127.0.0.1:{port}" for arm, port in zip(SHARES, ports, strict=True)}
    [record] = msgspec.json.decode(flights.body)["records"]
    document = Parameters(
        use_case=USE_CASE,
        arms={arm: Arm(upstreams=(urls[arm],), share=share) for arm, share in SHARES.items()},
        sticky="request",
        rules=idle_rules(record, RULES),
        changed_by="bench",
        why="to be measured",
    )
    publish_parameters(store, document, 0)
    predictors = [
        server(home, arm, port, (), "predictor", USE_CASE, "--arm", arm) for arm, port in zip(SHARES, ports, strict=True)
    ]
    upstreams = ",".join(f"{USE_CASE}/{arm}={url}" for arm, url in urls.items())
    specs = (
        *predictors,
        server(home, "proxy", proxy, (), "proxy", PROXY_UPSTREAMS=upstreams),
        ProcessSpec(name="shipper", command=trainserve_command("shipper"), environment=home.environment()),
    )
    return Case(name=MANY, specs=specs, url=f"http://127.0.0.1:{proxy}{PREDICT}", body=flights.body)
