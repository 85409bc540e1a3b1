"""`python -m bench.drain ship|write HOME USE_CASE`: one measurement of the shipper's benchmark, in a process of its own.

`ship` ships what the home has logged; `write` writes the rows of its table again, bare, into another. It prints a `Drained`.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lake.allocator import keep_free_memory
from lake.home import Home
from lake.program_log import configure_logging
from lake.table_names import PREDICTIONS


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of predictions, seconds of processor and of the clock, and the most memory that the process had."""

    rows: int
    cpu_seconds: float
    seconds: float
    memory_mb: float

    @property
    def rows_per_cpu_second(self) -> float:
        """Rows by the second of processor time."""
        return self.rows / self.cpu_seconds


def ship(home: Home, use_case: str) -> Drained:
    """Ship all that is logged."""
    from lake.delta import Table
    from lake.log.shipper import Shipper

    cpu_seconds, seconds = _timed(lambda: Shipper(home).ship())
    return _drained(Table(home.lake, use_case, PREDICTIONS).open().count(), cpu_seconds, seconds)


def write(home: Home, use_case: str) -> Drained:
    """Write the shipped rows into another table, as many in a commit as the shipper had."""
    from deltalake import write_deltalake

    from lake.delta import Table
    from lake.log.shipper import Pace

    rows = Table(home.lake, use_case, PREDICTIONS).scan().collect()

    def write_all() -> None:
        for chunk in rows.iter_slices(Pace().rows_by_commit):
            write_deltalake(str(home.root / "bare"), chunk, mode="append", partition_by=["event_date"])

    return _drained(rows.height, *_timed(write_all))


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock


def _drained(rows: int, cpu_seconds: float, seconds: float) -> Drained:
    return Drained(rows=rows, cpu_seconds=cpu_seconds, seconds=seconds, memory_mb=_most_memory_mb())


def _most_memory_mb() -> float:
    """As the kernel has it; what `getrusage` tells may be the parent's."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    keep_free_memory()  # as `trainserve shipper` does
    configure_logging()  # beside what it prints
    measured = {"ship": ship, "write": write}[sys.argv[1]](Home.at(Path(sys.argv[2])), sys.argv[3])
    sys.stdout.buffer.write(msgspec.json.encode(measured))
