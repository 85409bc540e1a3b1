"""The kill switch: a file in the home for each use case or arm that is stopped, there while it is. It needs no lake.

`<home>/stop/flight_delay` stops the use case, `<home>/stop/flight_delay.challenger` one arm of it. Who stopped it and why stands
in the file; one that is empty, or that nobody can read, stops as well.
"""

from pathlib import Path

import msgspec

from lake.documents import StrictDocument, canonical, sync_folder, write_file
from lake.home import Home

_UNFINISHED = "#"  # how a file is named while it is written


class Stop(StrictDocument, frozen=True, kw_only=True):
    """Who stopped it, when, why."""

    by: str = "unknown"
    at_utc: str | None = None
    why: str = "no reason is given"


class Stops(msgspec.Struct, frozen=True):
    """What is stopped: use cases, and arms as `use_case.arm`."""

    found: dict[str, Stop] = {}

    def of(self, use_case: str) -> Stop | None:
        """Why the use case is stopped, or None."""
        return self.found.get(use_case)

    def arms(self, use_case: str) -> dict[str, Stop]:
        """Its stopped arms."""
        prefix = f"{use_case}."
        return {name.removeprefix(prefix): stop for name, stop in self.found.items() if name.startswith(prefix)}


def read_stops(home: Home) -> Stops:
    """What is stopped now: a look at one folder. Raises OSError where that cannot be told."""
    try:
        names = sorted(path.name for path in home.stops.iterdir() if _UNFINISHED not in path.name)
    except FileNotFoundError:
        return Stops()
    return Stops({name: _read(home.stops / name) for name in names})


def stop(home: Home, use_case: str, arm: str | None, reason: Stop) -> Path:
    """Stop it on this machine; returns the file. Safe to run twice: the last reason stands."""
    path = home.stops / _name(use_case, arm)
    write_file(path, canonical(reason))
    return path


def resume(home: Home, use_case: str, arm: str | None) -> bool:
    """End the stop on this machine; returns whether there was one. Safe to run twice."""
    path = home.stops / _name(use_case, arm)
    if not path.exists():
        return False
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def _name(use_case: str, arm: str | None) -> str:
    return use_case if arm is None else f"{use_case}.{arm}"


def _read(path: Path) -> Stop:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Stop)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Stop()
