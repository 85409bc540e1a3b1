"""Group commit: all requests that wait share one fsync, and the next commit begins as soon as the last one ends.

Each ends with a record that seals it: see `lake.log.commits`.
"""

import asyncio
import contextlib
from functools import partial

import structlog

from lake.errors import SpoolUnavailable
from lake.log.chain import Chain, Sealed
from lake.log.log_key import LogKey
from lake.log.own_thread import OwnThread
from lake.log.receipts import Receipt
from lake.log.slot import Slot

log = structlog.get_logger(__name__)

_Group = list[tuple[list[bytes], asyncio.Future[Receipt]]]


class GroupCommit:
    """The log of one worker. `append` returns when its records are on disk, or written where the slot's durability says so.

    A segment is rotated when it is `segment_bytes` long or `segment_age_s` old, whichever is first: that bounds how
    long a record waits for the shipper. Must be used from one event loop.
    """

    def __init__(self, slot: Slot, key: LogKey, segment_bytes: int = 8 * 1024 * 1024, segment_age_s: float = 1.0) -> None:
        self.slot = slot
        self.records_committed = 0
        self.commits = 0
        self.failure: str | None = None
        self._chain = Chain(slot.folder, slot.spool_id, slot.chain, key)
        self._segment_bytes = segment_bytes
        self._segment_age_s = segment_age_s
        self._waiting: _Group = []
        self._committing = False
        self._rotating: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = OwnThread("spool")

    async def append(self, records: list[bytes]) -> Receipt:
        """Wait until these records are on disk; returns the receipt. Raises SpoolUnavailable when they cannot be written."""
        if self._closed:
            raise SpoolUnavailable("it was closed")
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Receipt] = loop.create_future()
        self._waiting.append((records, written))
        if not self._committing:
            self._committing = True
            loop.call_soon(self._commit)  # behind all whose turn it is in this round of the loop: they come along
        return await written

    def start(self) -> None:
        """Begin to rotate segments by age, and to look whether a disk that failed takes writes again."""
        self._rotating = asyncio.get_running_loop().create_task(self._look_after())

    async def close(self) -> None:
        """Commit what waits, then give the slot back. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._rotating is not None:
            self._rotating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._rotating
        while self._committing:
            await self._thread.do(_nothing)
        self._thread.end()
        with contextlib.suppress(OSError):  # the shipper then takes the segment as one that a crash left open
            self._rotate()
        self.slot.close()

    def _commit(self) -> None:
        """Have written what waits; nothing else is meanwhile."""
        group, self._waiting = self._waiting, []
        records = [record for records, _ in group for record in records]
        self._thread.do(partial(self._write, records)).add_done_callback(partial(self._end, group, len(records)))

    def _end(self, group: _Group, records: int, outcome: asyncio.Future[Sealed]) -> None:
        failure = outcome.exception()
        self.failure = None if failure is None else str(failure)
        if failure is None:
            self.commits += 1
            self.records_committed += records
            _hand_out(outcome.result(), group, records)
        else:
            told = SpoolUnavailable(str(failure)) if isinstance(failure, OSError) else failure
            for _, written in group:
                if not written.done():  # else its request was cancelled
                    written.set_exception(told)
        if self._waiting:
            self._commit()
        else:
            self._committing = False

    def _write(self, records: list[bytes]) -> Sealed:
        sealed = self._chain.seal(records, self.slot.next_seq)
        self.slot.append([*records, sealed.encoded])
        self._chain.advance(sealed)
        if self.slot.size >= self._segment_bytes:
            with contextlib.suppress(OSError):  # these records are on disk; the segment is tried again
                self._rotate()
        return sealed

    def _rotate(self) -> None:
        """Close the segment, once it is known beside it where the chain stands. Raises OSError, and then it goes on."""
        if self.slot.size:
            self._chain.keep()
            self.slot.rotate()

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(self._segment_age_s)
            try:
                if self.failure is not None:
                    # Whoever is told of the failure may send no requests any more: without them it would never end.
                    await self._thread.do(self.slot.probe)
                    self.failure = None
                await self._thread.do(self.slot.sync)
            except OSError as error:
                if self.failure is None:
                    log.warning("acknowledged records may not be on disk", slot=str(self.slot.folder), error=str(error))
                self.failure = str(error)
            with contextlib.suppress(OSError):  # a full disk: the next append says so to those who wait
                await self._thread.do(self._rotate)


def _hand_out(sealed: Sealed, group: _Group, number: int) -> None:
    """Give each request the receipt of its records: they are the last of the commit, so many, in the order of the requests."""
    commit = sealed.commit
    seq = commit.last_seq + 1 - number
    for records, written in group:
        if not written.done():  # its request was cancelled
            written.set_result(Receipt(commit, sealed.leaves, seq, len(records)))
        seq += len(records)


def _nothing() -> None:
    """What is done when all before it is."""
