"""Runs `trainserve` with a log that this machine or this platform does not have.

`python -m bench.altered no-log proxy ...` logs nothing: the reference. `python -m bench.altered 5 proxy ...` adds 5 ms to
each fsync, as on a slower disk.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from lake.commands.line import main
from lake.log.commits import Commit
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.log.receipts import Receipt

NO_LOG = "no-log"


def log_nothing() -> None:
    """Let the proxy write no record, nor make one: each request gets the same receipt at once."""
    nothing = Commit(
        spool_id="0" * 32,
        number=1,
        first_seq=1,
        count=1,
        root=bytes(32),
        previous="",
        committed_at_us=0,
        spans=(),
        key_id="",
    )
    receipt = Receipt(nothing, (), 1, 1)

    async def append(_self: GroupCommit, _records: list[bytes]) -> Receipt:
        return receipt

    def records(_self: Exchange, *_: Any) -> list[bytes]:
        return []

    GroupCommit.append = append  # type: ignore[method-assign,assignment]
    Exchange.records = records  # type: ignore[method-assign,assignment]


def slow_down(milliseconds: float) -> None:
    """Let each fsync of this process take so much longer."""

    def slower(sync: Callable[[int], None]) -> Callable[[int], None]:
        def slow(file: int) -> None:
            sync(file)
            time.sleep(milliseconds / 1000)

        return slow

    os.fsync, os.fdatasync = slower(os.fsync), slower(os.fdatasync)  # type: ignore[assignment]


if __name__ == "__main__":
    how = sys.argv.pop(1)
    if how == NO_LOG:
        log_nothing()
    else:
        slow_down(float(how))
    main()
