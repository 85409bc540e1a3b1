"""Who has confirmed a stop, or its end: the workers of this machine by its home, those of others by their proxies."""

import time
from collections.abc import Sequence

import msgspec
from rich.console import Console

from lake.errors import TrainServeError
from lake.home import Home
from lake.parameters.client import ParametersClient
from lake.workers import Worker, read_workers

CONFIRMED_WITHIN_S = 3.0
_PAUSE_S = 0.05


class Expected(msgspec.Struct, frozen=True):
    """What every worker is to say: that the use case, or this arm of it, is stopped, or that it is not."""

    use_case: str
    arm: str | None
    stopped: bool

    def is_said_by(self, worker: Worker) -> bool:
        """Whether this worker goes by it."""
        found = worker.use_cases.get(self.use_case)
        return found is not None and found.stops(self.arm) == self.stopped


class _Place(msgspec.Struct, frozen=True):
    """The workers of one machine: by its home or by a proxy; or why nobody can tell."""

    name: str
    workers: Sequence[Worker] = ()
    failure: str | None = None

    def lacks(self, expected: Expected) -> bool:
        """Whether a worker has not said it yet."""
        return not all(map(expected.is_said_by, self.workers))


def wait_for(console: Console, expected: Expected, home: Home | None, clients: Sequence[ParametersClient]) -> bool:
    """Wait for all workers of these machines, and list them; whether one is missing, or cannot be asked."""
    deadline = time.monotonic() + CONFIRMED_WITHIN_S
    while True:
        places = [] if home is None else [_here(home, expected)]
        places += [_there(client, expected) for client in clients]
        missing = any(place.lacks(expected) for place in places)
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_S)
    for place in places:
        _print(console, place, expected)
    return missing or any(place.failure is not None for place in places)


def _here(home: Home, expected: Expected) -> _Place:
    return _Place("this machine", _concerned(read_workers(home), expected))


def _there(client: ParametersClient, expected: Expected) -> _Place:
    try:
        return _Place(client.url, _concerned(client.workers(expected.use_case), expected))
    except TrainServeError as error:
        return _Place(client.url, failure=str(error))


def _concerned(workers: Sequence[Worker], expected: Expected) -> list[Worker]:
    """Those that answer for the use case, and those that have not said yet for which they do."""
    return [worker for worker in workers if not worker.use_cases or expected.use_case in worker.use_cases]


def _print(console: Console, place: _Place, expected: Expected) -> None:
    if place.failure is not None:
        console.print(f"  workers of {place.name}: have NOT confirmed it, as nobody can tell: {place.failure}")
    elif not place.workers:
        console.print(f"  no worker of a proxy lives on {place.name}; one that starts goes by it")
    for worker in place.workers:
        said = f"confirmed at {worker.confirmed_at_utc}"
        if not expected.is_said_by(worker):
            said = f"has NOT confirmed it within {CONFIRMED_WITHIN_S:g} s"
        console.print(f"  worker {worker.id} of {worker.host}, by {place.name}: {said}")
