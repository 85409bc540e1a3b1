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

from bench.case import Measured
from bench.load import Load
from lake.documents import write_file

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("catboost", "litestar", "uvicorn", "uvloop", "httptools", "msgspec")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark measured of one case."""

    def cells(self) -> dict[str, str]:
        """What the table for people shows of it, by column."""
        raise NotImplementedError


class Figure(Line, frozen=True, kw_only=True):
    """Medians over the rounds.

    `ratios` are, by reference, the medians of the requests a second over the reference's in the same round; `peak_mb` is the
    greatest memory of each process with its children.
    """

    name: str
    connections: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    ratios: dict[str, float]
    peak_mb: dict[str, float]
    rounds: list[Load]

    def cells(self) -> dict[str, str]:
        """Requests a second, also as multiples of others', latencies, and memory."""
        return {
            "what": self.name,
            "connections": str(self.connections),
            "requests/s": f"{self.requests_per_second:,.0f}",
            **{f"x {reference}": f"{ratio:.2f}" for reference, ratio in self.ratios.items()},
            "p50 ms": f"{self.p50_ms:.2f}",
            "p99 ms": f"{self.p99_ms:.2f}",
            "peak MB": " + ".join(f"{peak:.0f}" for peak in self.peak_mb.values()),
        }


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a benchmark, with what is needed to judge it."""

    benchmark: str
    setup: str
    measured_at_utc: str
    cpu: str
    cores: int
    python: str
    libraries: dict[str, str]
    figures: Sequence[Line]


def figures(rounds: Sequence[Mapping[str, Measured]], references: Sequence[str]) -> list[Figure]:
    """One figure for each case and number of connections, from rounds that each measured all of them."""
    return [
        _figure(name, connections, rounds, references)
        for connections in next(iter(rounds[0].values())).loads
        for name in rounds[0]
    ]


def _figure(name: str, connections: int, rounds: Sequence[Mapping[str, Measured]], references: Sequence[str]) -> Figure:
    loads = [one[name].loads[connections] for one in rounds]

    def times(reference: str) -> float:
        bases = [one[reference].loads[connections] for one in rounds]
        return median(load.requests_per_second / base.requests_per_second for load, base in zip(loads, bases, strict=True))

    return Figure(
        name=name,
        connections=connections,
        requests_per_second=median(load.requests_per_second for load in loads),
        p50_ms=median(load.p50_ms for load in loads),
        p99_ms=median(load.p99_ms for load in loads),
        ratios={reference: times(reference) for reference in references if reference in rounds[0]},
        peak_mb={process: median(one[name].peak_mb[process] for one in rounds) for process in rounds[0][name].peak_mb},
        rounds=loads,
    )


def report(benchmark: str, setup: str, measured: Sequence[Line], libraries: Sequence[str] = LIBRARIES) -> Report:
    """The figures with the machine that they were measured on, without its name."""
    return Report(
        benchmark=benchmark,
        setup=setup,
        measured_at_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        libraries={name: version(name) for name in libraries},
        figures=measured,
    )


def write_report(made: Report) -> Path:
    """Keep the report as `results/<benchmark>.json`."""
    path = RESULTS / f"{made.benchmark}.json"
    write_file(path, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
    return path


def table(made: Report) -> Table:
    """The report for a person."""
    lines = [line.cells() for line in made.figures]
    drawn = Table(*lines[0], title=made.setup, title_justify="left")
    for line in lines:
        drawn.add_row(*line.values())
    return drawn


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
