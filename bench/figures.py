"""Figures of several rounds: medians, ratios within the round, a file for machines and a table for people."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median

import msgspec
from rich.table import Table

from bench.load import Load
from lake.documents import write_file

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("catboost", "litestar", "uvicorn", "uvloop", "httptools", "msgspec", "pyreqwest")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """Medians over the rounds; `ratio` is the median of the requests a second over the reference's in the same round."""

    name: str
    connections: int
    reference: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    ratio: float
    rounds: list[Load]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a benchmark, with what is needed to judge it."""

    benchmark: str
    setup: str
    measured_at_utc: str
    cpu: str
    cores: int
    python: str
    libraries: dict[str, str]
    figures: list[Figure]


def figures(rounds: Sequence[Mapping[tuple[str, int], Load]], references: Mapping[str, str]) -> list[Figure]:
    """One figure for each case and number of connections, from rounds that each measured all of them."""
    made = []
    for name, connections in rounds[0]:
        loads = [one[name, connections] for one in rounds]
        bases = [one[references[name], connections] for one in rounds]
        ratios = [load.requests_per_second / base.requests_per_second for load, base in zip(loads, bases, strict=True)]
        made.append(
            Figure(
                name=name,
                connections=connections,
                reference=references[name],
                requests_per_second=median(load.requests_per_second for load in loads),
                p50_ms=median(load.p50_ms for load in loads),
                p99_ms=median(load.p99_ms for load in loads),
                ratio=median(ratios),
                rounds=loads,
            )
        )
    return made


def report(benchmark: str, setup: str, measured: list[Figure]) -> Report:
    """The figures with the machine that they were measured on, without its name."""
    return Report(
        benchmark=benchmark,
        setup=setup,
        measured_at_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
        figures=measured,
    )


def write_report(made: Report) -> Path:
    """Keep the report as `results/<benchmark>.json`."""
    path = RESULTS / f"{made.benchmark}.json"
    write_file(path, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    return path


def table(made: Report) -> Table:
    """The report for a person."""
    drawn = Table("what", "connections", "requests/s", "of its echo", "p50 ms", "p99 ms", title=made.setup, title_justify="left")
    for figure in made.figures:
        of_reference = "" if figure.name == figure.reference else f"{figure.ratio:.2f}"
        drawn.add_row(
            figure.name,
            str(figure.connections),
            f"{figure.requests_per_second:,.0f}",
            of_reference,
            f"{figure.p50_ms:.2f}",
            f"{figure.p99_ms:.2f}",
        )
    return drawn


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
