"""One of the processes that answer for a server: whether it is leaving, and how the metrics of all of them become one page.

A request meets any of the processes, so also one for metrics does. It asks the others over sockets in a folder of their own,
and gives the samples of each with a label that says whose they are.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from lake.interface.settings import ServerSettings

VARIABLE = "TRAINSERVE_WORKER"
_ANSWER_S = 2.0

Measure = Callable[[], Iterable[Metric]]
Application = Callable[..., Awaitable[None]]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which worker of how many this process is, and what it was handed: descriptors of sockets, and the folder of all.

    Handed over in the environment, as JSON.
    """

    number: int
    of: int
    folder: str
    listener: int
    admin: int | None = None

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> "Place | None":
        """The place that the environment names; None in a process that answers alone, or that starts the others."""
        found = environment.get(VARIABLE)
        return None if found is None else msgspec.json.decode(found, type=cls)

    def socket_of(self, number: int) -> Path:
        """Where a worker gives its metrics; the file is there once it answers requests."""
        return Path(self.folder) / f"worker-{number}"


class Worker:
    """What a process knows of itself: an application asks whether it is leaving, and tells it what it measures."""

    def __init__(self, settings: ServerSettings | None = None, place: Place | None = None) -> None:
        self.settings = settings or ServerSettings()
        self.leaving = False
        self.admin: Application | None = None  # what those who run the server ask, where that has a port of its own
        self._measures: list[Measure] = []
        self._place = place
        self._server: asyncio.Server | None = None

    @property
    def is_alone(self) -> bool:
        """Whether no other process answers for the same server."""
        return self._place is None

    def measures(self, measure: Measure) -> None:
        """These metrics are on its page too."""
        self._measures.append(measure)

    async def start(self) -> None:
        """Give the others the metrics of this one."""
        if self._place is not None and self._server is None:
            path = self._place.socket_of(self._place.number)
            path.unlink(missing_ok=True)  # of one before it that was killed
            self._server = await asyncio.start_unix_server(self._give, path)

    async def stop(self) -> None:
        """Give them no more."""
        if self._server is not None:
            self._server.close()

    async def metrics(self) -> bytes:
        """The page for Prometheus: of this process alone, or of every worker that answers."""
        if self._place is None:
            return self._own_page()
        numbers = range(1, self._place.of + 1)
        pages = await asyncio.gather(*(self._page_of(self._place, number) for number in numbers))
        up = "".join(
            f'trainserve_worker_up{{worker="{number}"}} {int(page is not None)}\n'
            for number, page in zip(numbers, pages, strict=True)
        )
        head = "# HELP trainserve_worker_up 1 for a worker that gave its metrics\n# TYPE trainserve_worker_up gauge\n"
        return joined([*(page for page in pages if page is not None), (head + up).encode()])

    def _own_page(self) -> bytes:
        labels = {} if self._place is None else {"worker": str(self._place.number)}
        return generate_latest(_Labelled([metric for measure in self._measures for metric in measure()], labels))

    async def _page_of(self, place: Place, number: int) -> bytes | None:
        if number == place.number:
            return self._own_page()
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(place.socket_of(number))
                with contextlib.closing(writer):
                    return await reader.read()
        except (OSError, TimeoutError):
            return None

    async def _give(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._own_page())
            await writer.drain()
        writer.close()


class _Labelled(Collector):
    """Metrics, each of their samples with these labels too."""

    def __init__(self, metrics: Iterable[Metric], labels: dict[str, str]) -> None:
        self._metrics = metrics
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for metric in self._metrics:
            metric.samples = [one._replace(labels={**one.labels, **self._labels}) for one in metric.samples]
            yield metric


def joined(pages: Iterable[bytes]) -> bytes:
    """Pages of metrics as one: what is said of a metric stands once, and then the samples of all."""
    heads: dict[bytes, bytes] = {}
    samples: dict[bytes, list[bytes]] = {}
    for page in pages:
        for block in page.split(b"# HELP ")[1:]:
            described, typed, *lines = block.splitlines(keepends=True)
            name = described.split(b" ", 1)[0]
            heads[name] = b"# HELP " + described + typed
            samples.setdefault(name, []).extend(lines)
    return b"".join(heads[name] + b"".join(lines) for name, lines in samples.items())
