"""`python -m bench.monitored HOME NOW`: brings the windows of a home up to date and asks all checks, in a process of its own.

It prints a `Monitored`. The memory is what is needed above the process with everything imported.
"""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.released import USE_CASE
from lake.home import Home
from trainserve_assets.assets.window_checks import CLAIMS
from trainserve_assets.catalog import use_case
from trainserve_assets.claims.seen import Seen
from trainserve_assets.resources import LakeResource
from trainserve_assets.windows.update import Update, update_windows

DAYS_BACK = 92
Result = TypeVar("Result")


class Monitored(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the update and of each check, processor time of both, the most memory above what was imported, and rows read."""

    update_s: float
    checks_s: dict[str, float]
    processor_s: float
    memory_mb: float
    rows: int

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.update_s + sum(self.checks_s.values())


def monitor(home: Home, now: datetime) -> Monitored:
    """One run, as the asset and its checks make it."""
    _imported()
    before, began = _most_memory_mb(), time.process_time()
    made, update_s = _timed(partial(update, home))
    seen = Seen(LakeResource(root=str(home.root)), use_case(USE_CASE), now)
    checks_s = {name: _timed(partial(claim.decide, seen))[1] for name, claim in CLAIMS.items()}
    return Monitored(
        update_s=update_s,
        checks_s=checks_s,
        processor_s=time.process_time() - began,
        memory_mb=_most_memory_mb() - before,
        rows=made.rows,
    )


def update(home: Home) -> Update:
    """Its first part alone, as the asset makes it: what is written."""
    late = use_case(USE_CASE)
    rate = late.monitoring.drift_false_alarm_rate
    return update_windows(home.lake, late.input_schema, DAYS_BACK, rate, late.slices)


def _imported() -> None:
    """What is imported at its first use, so that it is no cost of a day."""
    import deltalake
    import scipy.special

    del deltalake, scipy


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def _most_memory_mb() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    found = monitor(Home.at(Path(sys.argv[1])), datetime.fromisoformat(sys.argv[2]))
    sys.stdout.buffer.write(msgspec.json.encode(found))
