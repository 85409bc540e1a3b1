"""Load at a constant rate, whatever the server does: a latency is counted from the moment at which its request was due.

`python -m bench.offered URL BODY_FILE RATE SECONDS` prints what it measured, as JSON. So a server that falls behind cannot
hide it by being asked less.
"""

import asyncio
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvloop

from bench.load import pinned
from proxy.connection import CallFailed
from proxy.pool import Pool

_TIMEOUT_S = 30.0


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a load: how many were sent and how many of them failed, and latencies in milliseconds."""

    sent: int
    failed: int
    p50_ms: float
    p99_ms: float
    greatest_ms: float


def put_offered(url: str, body: Path, rate: float, seconds: float, core: int | None) -> Offered:
    """Send the body so many times a second, from a process of its own, on one core where it is given."""
    command = [*pinned(core), sys.executable, "-m", "bench.offered", url, str(body), str(rate), str(seconds)]
    return msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=Offered)


async def offer(url: str, body: bytes, rate: float, seconds: float) -> Offered:
    """Send the body so many times a second."""
    address = urlsplit(url)
    pool = Pool(f"{address.scheme}://{address.netloc}")
    latencies_ms: list[float] = []
    failed = 0

    async def one(due: float) -> None:
        nonlocal failed
        try:
            response = await pool.call("POST", address.path, body, "", _TIMEOUT_S)
            failed += response.status != HTTPStatus.OK
        except CallFailed:
            failed += 1
        latencies_ms.append((time.perf_counter() - due) * 1000)

    began = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (early_s := due - time.perf_counter()) > 0:
            await asyncio.sleep(early_s)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    pool.close()
    latencies_ms.sort()
    return Offered(
        sent=len(tasks),
        failed=failed,
        p50_ms=latencies_ms[len(tasks) // 2],
        p99_ms=latencies_ms[len(tasks) * 99 // 100],
        greatest_ms=latencies_ms[-1],
    )


if __name__ == "__main__":
    where, file, per_second, span_s = sys.argv[1:]
    measured = uvloop.run(offer(where, Path(file).read_bytes(), float(per_second), float(span_s)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
