"""Many requests share one fsync; a request that goes away, or a disk that fails, harms no other."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lake.errors import InvalidInput, SpoolUnavailable
from lake.home import Home
from lake.log.durability import Durability
from lake.log.group_commit import GroupCommit
from lake.log.log_key import LogKey
from lake.log.receipts import Receipt
from lake.log.segment import closed_segments, read_segment, segments
from lake.log.slot import Slot
from lake.tables import COMMITS

DEADLINE_S = 10


@asynccontextmanager
async def spool(
    home: Home, segment_bytes: int = 1024 * 1024, segment_age_s: float = 60, durability: Durability = "disk"
) -> AsyncIterator[GroupCommit]:
    """The log of one worker."""
    log = GroupCommit(Slot.lease(home.spools, durability), LogKey.read_or_make(home.keys), segment_bytes, segment_age_s)
    try:
        yield log
    finally:
        await log.close()


def held(home: Home) -> list[bytes]:
    """All records of the first slot, without the commits that seal them."""
    return [record for path in segments(home.spools / "slot-000") for record in unsealed(path)]


def unsealed(path: Path) -> list[bytes]:
    """The records of a segment, without the commits that seal them."""
    return [record for record in read_segment(path).records if record is not None and COMMITS.encode() not in record[:10]]


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


class Disk:
    """Stands in for fdatasync: counts the calls, waits while it is `busy`, fails while it is `broken`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.broken = False
        self._sync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self)

    def __call__(self, file: int) -> None:
        self.calls += 1
        self.begun.set()
        assert self.free.wait(DEADLINE_S)
        if self.broken:
            raise OSError(5, "Input/output error")
        self._sync(file)

    async def hold(self, log: GroupCommit) -> asyncio.Task[Receipt]:
        """Make the disk busy with one commit, and return the task that waits for it."""
        self.begun.clear()
        self.free.clear()
        task = asyncio.create_task(log.append([b"first"]))
        assert await asyncio.to_thread(self.begun.wait, DEADLINE_S)
        return task


def test_an_append_returns_when_its_records_are_on_disk(home: Home) -> None:
    async def scenario() -> None:
        async with spool(home) as log:
            await log.append([b"1", b"2"])
            assert held(home) == [b"1", b"2"]
            assert (log.records_committed, log.commits, log.failure) == (2, 1, None)

    asyncio.run(scenario())


def test_all_that_wait_share_one_fsync(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home) as log:
            first = await disk.hold(log)
            waiting = [asyncio.create_task(log.append([str(number).encode()])) for number in range(500)]
            await asyncio.sleep(0)
            disk.free.set()
            await asyncio.gather(first, *waiting)

            assert disk.calls == log.commits == 2
            assert log.records_committed == 501
        assert held(home) == [b"first", *(str(number).encode() for number in range(500))]

    asyncio.run(scenario())


def test_nobody_is_answered_before_the_disk_has_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home) as log:
            first = await disk.hold(log)
            done, _ = await asyncio.wait([first], timeout=0.05)
            assert not done
            disk.free.set()
            await first

    asyncio.run(scenario())


def test_with_durability_process_nobody_waits_for_the_disk_which_has_it_soon(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home, segment_age_s=0.01, durability="process") as log:
            await log.append([b"1"])
            assert (held(home), disk.calls) == ([b"1"], 0)
            log.start()
            assert await asyncio.to_thread(disk.begun.wait, DEADLINE_S)

    asyncio.run(scenario())


def test_with_durability_process_a_disk_that_fails_is_told_until_it_recovers(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home, segment_age_s=0.001, durability="process") as log:
            disk.broken = True
            await log.append([b"1"])
            log.start()
            await until(lambda: log.failure == "[Errno 5] Input/output error")
            assert closed_segments(log.slot.folder) == [], "what is not on disk is not the shipper's"
            disk.broken = False
            await until(lambda: log.failure is None and closed_segments(log.slot.folder))

    asyncio.run(scenario())


def test_a_cancelled_request_harms_no_other_and_its_record_stays(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home) as log:
            first = await disk.hold(log)
            leaving, staying = (asyncio.create_task(log.append([record])) for record in (b"leaving", b"staying"))
            await asyncio.sleep(0)
            first.cancel()
            leaving.cancel()
            disk.free.set()
            await staying
            await log.append([b"later"])

            assert first.cancelled()
            assert leaving.cancelled()
        assert held(home) == [b"first", b"leaving", b"staying", b"later"]

    asyncio.run(scenario())


def test_a_failing_disk_is_told_to_all_that_wait_and_forgotten_when_it_recovers(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home) as log:
            disk.broken = True
            first = await disk.hold(log)
            waiting = [asyncio.create_task(log.append([b"x"])) for _ in range(10)]
            disk.free.set()
            outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)

            assert [type(outcome) for outcome in outcomes] == [SpoolUnavailable] * 11
            assert (log.failure, log.commits, log.records_committed) == ("[Errno 5] Input/output error", 0, 0)
            disk.broken = False
            await log.append([b"1"])
            assert (log.failure, log.commits, log.records_committed) == (None, 1, 1)
        assert held(home) == [b"1"]

    asyncio.run(scenario())


def test_a_disk_that_recovers_is_noticed_without_a_request(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where readiness depends on it, no request comes while it fails."""

    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home, segment_age_s=0.001) as log:
            log.start()
            disk.broken = True
            with pytest.raises(SpoolUnavailable):
                await log.append([b"never acknowledged"])
            looked = disk.calls + 3
            deadline = time.monotonic() + DEADLINE_S
            while disk.calls < looked:
                assert time.monotonic() < deadline
                assert log.failure is not None
                await asyncio.sleep(0.001)
            disk.broken = False
            while log.failure is not None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.001)
            await log.append([b"1"])
        assert held(home) == [b"1"]

    asyncio.run(scenario())


def test_whatever_fails_those_who_wait_hear_of_it_and_the_next_are_served(home: Home) -> None:
    async def scenario() -> None:
        async with spool(home) as log:
            with pytest.raises(InvalidInput, match="record: found 0 bytes"):
                await asyncio.wait_for(log.append([b""]), DEADLINE_S)
            await asyncio.wait_for(log.append([b"1"]), DEADLINE_S)
        assert held(home) == [b"1"]

    asyncio.run(scenario())


def test_a_segment_is_closed_when_it_is_long_enough(home: Home) -> None:
    async def scenario() -> None:
        async with spool(home, segment_bytes=600) as log:
            for _ in range(4):
                await log.append([b"x" * 60])
            assert [len(unsealed(path)) for path in closed_segments(log.slot.folder)] == [2, 2]

    asyncio.run(scenario())


def test_a_segment_is_closed_when_it_is_old_enough(home: Home) -> None:
    async def scenario() -> None:
        async with spool(home, segment_age_s=0.01) as log:
            log.start()
            await log.append([b"1"])
            deadline = time.monotonic() + DEADLINE_S
            while not closed_segments(log.slot.folder):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)

    asyncio.run(scenario())


def test_records_that_are_on_disk_are_acknowledged_although_the_next_segment_cannot_be_begun(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_new_file(path: str, flags: int, *rest: int, **options: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(28, "No space left on device")
        return opened(path, flags, *rest, **options)

    opened = os.open

    async def scenario() -> None:
        async with spool(home, segment_bytes=1) as log:
            with monkeypatch.context() as full:
                full.setattr(os, "open", no_new_file)
                await log.append([b"1"])
            await log.append([b"2"])
        assert held(home) == [b"1", b"2"]

    asyncio.run(scenario())


def test_closing_commits_what_waits_and_gives_the_slot_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk = Disk(monkeypatch)
        async with spool(home) as log:
            first = await disk.hold(log)
            second = asyncio.create_task(log.append([b"second"]))
            await asyncio.sleep(0)
            closing = asyncio.create_task(log.close())
            disk.free.set()
            await asyncio.gather(first, second, closing)
            with pytest.raises(SpoolUnavailable, match="it was closed"):
                await log.append([b"too late"])

            assert held(home) == [b"first", b"second"]
            assert closed_segments(log.slot.folder), "the shipper may take them"
            with Slot.lease(home.spools) as slot:
                assert slot.folder == log.slot.folder

    asyncio.run(scenario())
