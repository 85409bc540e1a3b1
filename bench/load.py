"""Load from wrk: as many requests as so many connections can keep under way."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lake.errors import NotFound, TrainServeError

FULL_SECONDS = 5.0  # of a load; a run whose loads are shorter is a quick one
_PATIENCE_S = 30  # a peer that is slow is slow, and has not failed

_SCRIPT = """
local file = io.open("{body}"); wrk.body = file:read("*a"); file:close()
wrk.method = "POST"
{headers}
"""
JSON = {"content-type": "application/json"}
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What wrk measured: requests a second, and latencies in milliseconds."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float


class Unanswered(TrainServeError):
    """Requests failed, so the figures would not mean anything."""

    def __init__(self, url: str, output: str) -> None:
        super().__init__(f"{url} did not answer every request with 2xx:\n{output}")


def wrk() -> str:
    """Where wrk is. Raises NotFound naming the package."""
    found = shutil.which("wrk")
    if found is None:
        raise NotFound("program", "wrk", "Install the Debian package wrk.")
    return found


def put_load(url: str, body: Path, connections: int, seconds: float, core: int | None, headers: Mapping[str, str] = JSON) -> Load:
    """Send the body again and again, from one thread, on one core where it is given. Raises Unanswered."""
    script = body.with_suffix(".lua")
    said = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    script.write_text(_SCRIPT.format(body=body, headers=said))
    chosen = {"-t": 1, "-c": connections, "-d": max(1, round(seconds)), "--timeout=": _PATIENCE_S}
    command = [wrk(), *(f"{name}{value}" for name, value in chosen.items()), "--latency", "-s", str(script), url]
    output = subprocess.run([*pinned(core), *command], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise Unanswered(url, output)
    return Load(
        requests_per_second=float(_found(r"Requests/sec:\s+([\d.]+)", output)[1]),
        p50_ms=_milliseconds(_found(r"50%\s+([\d.]+)(us|ms|s|m)", output)),
        p99_ms=_milliseconds(_found(r"99%\s+([\d.]+)(us|ms|s|m)", output)),
    )


def pinned(core: int | None) -> list[str]:
    """What to put before a command so that it keeps to one core."""
    taskset = shutil.which("taskset")
    return [] if core is None or taskset is None else [taskset, "-c", str(core)]


def _found(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if found is None:
        raise NotFound("figure in what wrk printed", pattern, output)
    return found


def _milliseconds(found: re.Match[str]) -> float:
    return float(found[1]) * _UNITS_MS[found[2]]
