"""A thread of its own works for an event loop: in order, with all that came of it, and to the end."""

import asyncio
import sys
import threading
from functools import partial

import pytest

from lake.log.own_thread import OwnThread


def test_it_does_one_thing_after_the_other_beside_the_loop_and_gives_what_came_of_each() -> None:
    async def run() -> list[object]:
        thread, begun = OwnThread("worker"), threading.Event()
        first = thread.do(lambda: (begun.wait(5), threading.current_thread().name))
        second = thread.do(begun.is_set)
        begun.set()  # which the loop can, though the first waits for it
        found = [await first, await second]
        thread.end()
        return found

    assert asyncio.run(run()) == [(True, "worker"), True]


def test_what_is_raised_reaches_who_waits_and_the_next_is_done() -> None:
    async def run() -> int:
        thread = OwnThread("worker")
        with pytest.raises(SystemExit):
            await thread.do(sys.exit)
        found = await thread.do(lambda: 7)
        thread.end()
        return found

    assert asyncio.run(run()) == 7


def test_the_end_waits_for_all_that_was_given() -> None:
    done: list[int] = []

    async def run() -> None:
        thread = OwnThread("worker")
        for number in range(100):
            thread.do(partial(done.append, number))
        thread.end()

    asyncio.run(run())

    assert done == list(range(100))
    assert "worker" not in {thread.name for thread in threading.enumerate()}
