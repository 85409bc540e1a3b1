"""Failpoints: named moments between two steps of a write, at which a process can be told to kill itself.

Tests end a process exactly where a crash would hurt most. A process does so only where `TRAINSERVE_FAILPOINT` names the
moment, as `committed`, or `committed:3` for the third time that it is reached.
"""

import os
import signal
from collections import Counter
from typing import Literal, get_args

from lake.errors import SettingError

VARIABLE = "TRAINSERVE_FAILPOINT"

Moment = Literal[
    "batch read",  # the records of a batch are in memory, nothing is written
    "committed",  # a commit of a table is made, and not yet known to be on disk
    "table synced",  # the rows of one table are on disk, those of the batch's next table are not written
    "batch synced",  # all rows of the batch are on disk, and all of its segments are still there
    "segment removed",  # one more segment of the batch is removed
    "segments removed",  # all are removed, and their folder is not synced
]
MOMENTS: tuple[Moment, ...] = get_args(Moment)

MomentOfErasure = Literal[
    "erasure asked",  # it is published, nothing is erased
    "erasure recorded",  # the audit rows are on disk, the rows that they name are still there
    "rows erased",  # the rows of one table are gone, its old files are still there
    "versions named",  # it is on disk what can no longer be reproduced, and can still be
    "examples erased",  # the newest version of one table of examples has no such row, its old files are still there
    "files removed",  # the old files of one table are gone
    "leftovers removed",  # unreadable bytes are gone; that all is done is not said yet
]
MOMENTS_OF_ERASURE: tuple[MomentOfErasure, ...] = get_args(MomentOfErasure)

MomentOfDelivery = Literal[
    "segment in the lake",  # some labels of a drop are in the lake, and in no table
    "committed",
    "table synced",
    "segment shipped",  # they are in their table, and the segment still holds them
    "delivered",  # all labels of a drop are in their table, and the delivery is not noted
]
MOMENTS_OF_DELIVERY: tuple[MomentOfDelivery, ...] = get_args(MomentOfDelivery)

_reached: Counter[str] = Counter()


def reach(moment: Moment | MomentOfErasure | MomentOfDelivery) -> None:
    """Tell that this moment is reached: nothing happens, but in the process that is to end here."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, times = _parsed(wanted)
    _reached[moment] += 1
    if moment == name and _reached[moment] == times:
        os.kill(os.getpid(), signal.SIGKILL)


def check_failpoint() -> None:
    """Raises SettingError where the environment names a moment that there is not: a test would wait for it in vain."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        _parsed(wanted)


def _parsed(wanted: str) -> tuple[str, int]:
    name, _, times = wanted.partition(":")
    moments = dict.fromkeys([*MOMENTS, *MOMENTS_OF_ERASURE, *MOMENTS_OF_DELIVERY])
    if name not in moments or not (times.isdigit() or times == ""):
        raise SettingError(VARIABLE, wanted, f"one of {', '.join(moments)}, and then :3 for the third time that it is reached")
    return name, int(times or 1)
