"""Load at a constant rate, whatever the server does: a latency is counted from the moment at which its request was due.

`python -m bench.offered URL BODY_FILE RATE SECONDS` prints what it measured, as JSON. So a server that falls behind cannot
hide it by being asked less.
"""

import subprocess
import sys
from array import array
from pathlib import Path

import msgspec
import uvloop

from bench.load import pinned
from bench.open_loop import OpenLoop


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Every request of a load, in the order in which they were due: its latency, and how late it was sent by who sent it.

    `failed` are the places of those that failed.
    """

    latencies_ms: "array[float]"
    late_ms: "array[float]"
    failed: list[int]


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a load: how many were sent and how many of them failed, and latencies in milliseconds.

    `late_p999_ms` is the part of a latency that the client itself may have added, as it sent the request late.
    """

    sent: int
    failed: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    greatest_ms: float
    late_p999_ms: float


def put_offered(url: str, body: Path, rate: float, seconds: float, core: int | None) -> Offered:
    """Send the body so many times a second, from a process of its own, on one core where it is given."""
    command = [*pinned(core), sys.executable, "-m", "bench.offered", url, str(body), str(rate), str(seconds)]
    return msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=Offered)


async def offer(url: str, body: bytes, rate: float, seconds: float) -> Offered:
    """Send the body so many times a second, and sum up."""
    asked = await ask(url, body, rate, seconds)
    ordered, late = sorted(asked.latencies_ms), sorted(asked.late_ms)
    return Offered(
        sent=len(ordered),
        failed=len(asked.failed),
        p50_ms=quantile(ordered, 0.5),
        p99_ms=quantile(ordered, 0.99),
        p999_ms=quantile(ordered, 0.999),
        greatest_ms=ordered[-1],
        late_p999_ms=quantile(late, 0.999),
    )


async def ask(url: str, body: bytes, rate: float, seconds: float) -> Asked:
    """Send the body so many times a second."""
    load = OpenLoop(url, body, rate, int(rate * seconds))
    await load.run()
    return Asked(latencies_ms=load.latencies_ms, late_ms=load.late_ms, failed=load.failed)


def quantile(ordered: "list[float]", part: float) -> float:
    """The value that this part of them does not reach."""
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


if __name__ == "__main__":
    where, file, per_second, span_s = sys.argv[1:]
    measured = uvloop.run(offer(where, Path(file).read_bytes(), float(per_second), float(span_s)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
