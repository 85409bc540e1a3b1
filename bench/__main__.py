"""`python -m bench`: runs the benchmarks, writes `bench/results/*.json`, prints a table for each."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import batches, constant_rate, log_overhead, monitoring, one_row, requests, rules, shadow, shipper, start
from bench.figures import Report, table, write_report
from bench.load import wrk
from bench.table import measure as measure_table
from lake.errors import TrainServeError

Benchmark = Callable[[Path, int, float, Callable[[str], None]], Report]

BENCHMARKS: dict[str, Benchmark] = {
    "predictor": requests.measure_predictor,
    "proxy": requests.measure_proxy,
    "start": start.measure,
    "batches": batches.measure,
    "one_row": one_row.measure,
    "log_overhead": log_overhead.measure,
    "shadow": shadow.measure,
    "rules": rules.measure,
    "constant_rate": constant_rate.measure,
    "shipper": shipper.measure,
    "table": measure_table,
    "monitoring": monitoring.measure,
}
ROUNDS, SECONDS = 5, 5.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 1.0


def main() -> int:
    """Run what was asked for; a quick run shows that everything works, and keeps no figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], help="which; all when none is named")
    parser.add_argument("--quick", action="store_true", help="one short round, and keep no figures")
    chosen = parser.parse_args()
    console = Console()
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if chosen.quick else (ROUNDS, SECONDS)
    try:
        wrk()
        for name in chosen.names or BENCHMARKS:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                made = BENCHMARKS[name](Path(folder), rounds, seconds, lambda line: console.print(f"[dim]{line}[/]"))
            console.print(table(made))
            if not chosen.quick:
                console.print(f"kept in {write_report(made).relative_to(Path.cwd())}")
    except TrainServeError as error:
        console.print(f"[bold red]bench:[/] {error}", highlight=False)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
