"""How much room the spool's disk has, and for how long: from what was free then and is free now."""

import os
from collections import deque
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from time import monotonic

import msgspec

_SPAN_S = 900.0
_STEP_S = 10.0


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Free bytes, and in how many hours they are used up at the pace of the last quarter of an hour.

    `hours_until_full` is infinite while nothing is used up. Both are NaN while they cannot be told.
    """

    free_bytes: float
    hours_until_full: float


class Disk:
    """Looks at the file system of a folder. The pace is that of all who write there, as it is they who fill it."""

    def __init__(self, folder: Path, clock_s: Callable[[], float] = monotonic) -> None:
        self._folder = folder
        self._clock_s = clock_s
        self._seen: deque[tuple[float, int]] = deque()

    def look(self) -> Room:
        """The room now. To be called again and again: each call is remembered, at most one in ten seconds."""
        try:
            now_s, free = self._clock_s(), _free_bytes(self._folder)
        except OSError:
            return Room(free_bytes=nan, hours_until_full=nan)
        while len(self._seen) > 1 and now_s - self._seen[1][0] >= _SPAN_S:
            self._seen.popleft()  # what remains reaches back for the whole span
        if not self._seen or now_s - self._seen[-1][0] >= _STEP_S:
            self._seen.append((now_s, free))
        then_s, then_free = self._seen[0]
        if now_s - then_s < _STEP_S:
            return Room(free_bytes=free, hours_until_full=nan)
        used_a_second = (then_free - free) / (now_s - then_s)
        return Room(free_bytes=free, hours_until_full=free / used_a_second / 3600 if used_a_second > 0 else inf)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
