"""A thread that works for an event loop: one thing after the other, and what came of each is a future of the loop.

A ThreadPoolExecutor gives futures of its own kind, with a lock each, of which the loop makes others: all of that is more
than the loop takes for the rest of a commit, and each request waits for it.
"""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

_Given = TypeVar("_Given")
_Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class OwnThread:
    """Begins with the first thing that it has to do. Must be used from one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def do(self, what: Callable[[], _Given]) -> asyncio.Future[_Given]:
        """Have it done behind all that was given before; the future has what it returned, or raised."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        done: asyncio.Future[_Given] = asyncio.get_running_loop().create_future()
        self._jobs.put((what, done))
        return done

    def end(self) -> None:
        """Wait until all is done that was given, and end."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            what, done = job
            given, error = None, None
            try:
                given = what()
            except BaseException as raised:  # noqa: BLE001 - it is told to who waits, whatever it is
                error = raised
            loop = done.get_loop()
            if not loop.is_closed():  # else nobody waits any more
                loop.call_soon_threadsafe(_tell, done, given, error)


def _tell(done: asyncio.Future[Any], given: object, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(given)
    else:
        done.set_exception(error)
