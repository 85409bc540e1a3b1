"""The benchmarks compare within a round, and run from their command."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import start, table
from bench.case import Measured
from bench.figures import figures
from bench.load import Load
from bench.requests import ALONE, CONNECTIONS, ECHO, PREDICTOR, PROXY
from lake.delta import Table

ROOT = Path(__file__).parents[2]


def measured(requests_per_second: float, p50_ms: float = 1.0, peak_mb: float = 80.0) -> Measured:
    load = Load(requests_per_second=requests_per_second, p50_ms=p50_ms, p99_ms=2.0)
    return Measured(loads={1: load}, peak_mb={"server": peak_mb})


def bench(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120", "PATH": os.environ["PATH"] if path is None else path}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_a_figure_is_a_median_and_its_ratio_the_median_of_the_rounds_own() -> None:
    rounds = [
        {"echo": measured(100.0), "server": measured(50.0, p50_ms=1.0)},
        {"echo": measured(200.0), "server": measured(160.0, p50_ms=3.0, peak_mb=90.0)},  # a machine that was twice as fast
        {"echo": measured(100.0), "server": measured(60.0, p50_ms=2.0)},
    ]
    echo, server = figures(rounds, ["echo"])

    assert (echo.requests_per_second, echo.ratios) == (100.0, {"echo": 1.0})
    assert (server.requests_per_second, server.ratios, server.p50_ms) == (60.0, {"echo": 0.6}, 2.0)
    assert server.peak_mb == {"server": 80.0}
    assert server.rounds == [one["server"].loads[1] for one in rounds]


def test_a_start_is_compared_with_the_peers_in_the_same_round() -> None:
    def started(seconds: float, peak_mb: float) -> start.Started:
        return start.Started(seconds=seconds, cpu_seconds=0.4, ready_mb=peak_mb - 1, peak_mb=peak_mb)

    rounds = [
        {"server": started(0.5, 90.0), start.REFERENCE: started(1.0, 130.0)},
        {"server": started(3.0, 92.0), start.REFERENCE: started(4.0, 130.0)},  # a machine that others kept busy
        {"server": started(0.4, 91.0), start.REFERENCE: started(1.0, 130.0)},
    ]
    figure = start.figure("server", rounds)

    assert (figure.seconds, figure.ratio, figure.ready_mb, figure.peak_mb) == (0.5, 0.5, 90.0, 91.0)
    assert start.figure("server", [{"server": started(0.5, 90.0)}]).ratio is None, "the peer is not installed"


def test_without_wrk_the_package_is_named(tmp_path: Path) -> None:
    ended = bench("--quick", path=str(tmp_path))

    assert ended.returncode == 1
    assert "Install the Debian package wrk." in ended.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs the Debian package wrk")
def test_a_quick_run_measures_every_case_and_keeps_no_figures() -> None:
    kept = {path: path.read_bytes() for path in (ROOT / "bench" / "results").glob("*.json")}
    ended = bench("--quick")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "s to ready" in ended.stdout
    for case in (ECHO, PREDICTOR, ALONE, PROXY):
        assert set(re.findall(rf"│ {re.escape(case)} +│ (\d+) ", ended.stdout)) == {str(number) for number in CONNECTIONS}, case
    assert kept == {path: path.read_bytes() for path in (ROOT / "bench" / "results").glob("*.json")}


@pytest.mark.slow
def test_a_table_is_measured_beside_what_it_was_after_few_commits(tmp_path: Path) -> None:
    said: list[str] = []
    made = table.measure(tmp_path, 1, 1.0, said.append)

    lines = [line for line in made.figures if isinstance(line, table.Looked)]
    assert [line.what for line in lines] == ["open", "read its first day", "read its newest day", "commit"]
    assert all(line.few_ms > 0 and line.many_ms > 0 and line.ratio == line.many_ms / line.few_ms for line in lines)
    assert Table(str(tmp_path / "few"), "bench", "predictions").scan().collect().height < table.QUICK * table.ROWS_OF_A_COMMIT
    many = Table(str(tmp_path / "many"), "bench", "predictions")
    assert many.scan().collect().height > table.QUICK * table.ROWS_OF_A_COMMIT
    assert many.files().height < table.QUICK, "it was maintained"
