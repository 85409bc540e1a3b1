"""A case of a benchmark: the processes that serve, the request that they are asked, and how they are measured."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.load import JSON, Load, Unanswered, put_load
from lake.errors import Unavailable
from lake.listener import bind
from trainserve_assets.platform.processes import Processes, ProcessSpec

_READY_WITHIN_S = 90.0
_WARM_S = 1
_WARM_TRIES = 20


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What serves, started in this order, and one request: where it goes, its body, and what it says of that."""

    name: str
    specs: tuple[ProcessSpec, ...]
    url: str
    body: bytes
    headers: dict[str, str] = msgspec.field(default_factory=lambda: dict(JSON))


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One round of a case: the load by the number of connections, and the greatest memory of each process's family."""

    loads: dict[int, Load]
    peak_mb: dict[str, float]


def measure(
    case: Case, folder: Path, connections: Sequence[int], seconds: float, core: int | None, say: Callable[[str], None]
) -> Measured:
    """Start the case's processes, warm them up, load them, and stop them: while one is measured no other runs.

    Raises DidNotStart, Unanswered.
    """
    body = folder / "body.json"
    body.write_bytes(case.body)
    with Processes(folder / "logs", say) as processes:
        processes.start(*case.specs, ready_within_s=_READY_WITHIN_S)
        _warm(case, body, connections[0], core)
        loads = {number: put_load(case.url, body, number, seconds, core, case.headers) for number in connections}
        peak_mb = {spec.name: peak_memory_mb(processes.pid(spec.name)) for spec in case.specs}
    return Measured(loads=loads, peak_mb=peak_mb)


def _warm(case: Case, body: Path, connections: int, core: int | None) -> None:
    """Load that is not counted, until all of it is answered: some say that they are ready before they are."""
    for _ in range(_WARM_TRIES):
        try:
            put_load(case.url, body, connections, _WARM_S, core, case.headers)
        except Unanswered as error:
            failure = error
        else:
            return
    raise Unavailable(case.name, f"it never answered a whole second of requests: {failure}")


def peak_memory_mb(first: int) -> float:
    """The greatest resident memory so far of each process in the session that this one leads, or started by one of them."""
    above = {int(path.name): _parent_and_session(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    family, found = {pid for pid, (_, session) in above.items() if session == first}, 0
    while found < len(family):
        found = len(family)
        family |= {pid for pid, (parent, _) in above.items() if parent in family}
    return sum(map(_peak_kb, family)) / 1024


def _parent_and_session(process: Path) -> tuple[int, int]:
    try:
        _, parent, _, session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:  # it has ended meanwhile
        return -1, -1
    return int(parent), int(session)


def _peak_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def processor_s(pid: int) -> float:
    """The processor time that a process has taken so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def free_ports(count: int) -> list[int]:
    """Ports that are free now; all are held until all are found."""
    listeners = [bind("127.0.0.1", 0, "a benchmark") for _ in range(count)]
    found = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return found
