"""Maintenance: keeps a table small in files, quick to open, and free of rows that are older than they may be.

It runs beside shippers and readers. What is in use is never touched: rows only move to fewer files, and a file goes when
it has been without use for longer than anybody reads. Where another rewriter was faster, the next run does the rest.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import msgspec
import polars as pl

from lake.delta import Table
from lake.delta_maintenance import checkpoint, clean_log, compact, configure, vacuum
from lake.delta_properties import SHORT_LOG, UNUSED, WHOLE_LOG, keep_unused
from lake.errors import Conflict, TrainServeError
from lake.fixed_schemas import MAINTENANCE_SCHEMA
from lake.log.log_key import LogKey
from lake.log.retirement import Retirement
from lake.tables import MAINTENANCE, conform

# A table that gets a commit every 5 s has 180 of them after a quarter of an hour.
FEWEST_SMALL_FILES = 16


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """How one table is kept.

    Rows whose time in the column `arrival` is `keep_days` ago are deleted; None keeps them for good. What is `held`, for a
    legal reason, loses no row and no file. `versions` says that older versions are cited: its log is kept whole, files
    without use stay for `unused`, and those of `cited()` versions for good.
    """

    arrival: str = ""
    keep_days: int | None = None
    held: bool = False
    versions: bool = False
    unused: timedelta = UNUSED
    cited: Callable[[], Collection[int]] = tuple

    @property
    def properties(self) -> dict[str, str]:
        """What Delta is told."""
        return (WHOLE_LOG if self.versions else SHORT_LOG) | keep_unused(self.unused)


class Done(msgspec.Struct, kw_only=True):
    """What one run did to a table, what the table has now, and what it could not do, in words."""

    table: str
    joined_files: int = 0
    retired_rows: int = 0
    retired_before_utc: datetime | None = None
    removed_files: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0
    left: str = ""


def maintain(table: Table, upkeep: Upkeep, at: datetime, *, thorough: bool) -> Done:
    """Compact, then write a checkpoint and clean the log; a thorough run also deletes old rows and removes unused files.

    Safe to run twice, and beside everything. Raises Unavailable when the table cannot be read.
    """
    done = Done(table=table.name)
    try:
        configure(table, upkeep.properties)
        done.joined_files = compact(table, FEWEST_SMALL_FILES)
        if thorough and upkeep.held:
            done.left = "nothing is retired or removed: a legal hold is on it"
        elif thorough:
            _retire(table, upkeep, at, done)
            _remove(table, upkeep, done)
    except Conflict as conflict:
        done.left = f"left to the next run: {conflict}"
    if done.joined_files or done.retired_rows or done.removed_files:
        checkpoint(table)  # without it Delta would name removed files again and again
    if not upkeep.versions:
        clean_log(table)
    files = table.files()
    done.files, done.bytes, done.rows = files.height, int(files["size_bytes"].sum()), int(files["num_records"].sum())
    return done


def append_maintenance(table: Table, at: datetime, runs: Collection[Done], key: LogKey) -> int:
    """Keep what was done, one row for each table that was changed; returns how many. Safe to run twice.

    Up to when rows were retired is signed: see `lake.log.retirement`.
    """
    changed = [done for done in runs if done.joined_files or done.retired_rows or done.removed_files]
    if not changed:
        return 0
    rows = [{"maintained_at_utc": at, **msgspec.structs.asdict(done), **_signed(table.use_case, done, key)} for done in changed]
    frame = conform(pl.DataFrame(rows, schema=MAINTENANCE_SCHEMA), MAINTENANCE_SCHEMA, MAINTENANCE)
    return table.append_new(frame, ["maintained_at_utc", "table"])


def _signed(use_case: str, done: Done, key: LogKey) -> dict[str, str | bytes | None]:
    if done.retired_before_utc is None:
        return {"key_id": None, "signature": None}
    signed = Retirement(use_case=use_case, table=done.table, before_utc=done.retired_before_utc).signed(key)
    return {"key_id": signed.key_id, "signature": signed.signature}


def _retire(table: Table, upkeep: Upkeep, at: datetime, done: Done) -> None:
    if upkeep.keep_days is not None:
        moment = at - timedelta(days=upkeep.keep_days)
        done.retired_rows = table.delete_before(upkeep.arrival, moment)
        done.retired_before_utc = moment


def _remove(table: Table, upkeep: Upkeep, done: Done) -> None:
    try:
        cited = upkeep.cited()
    except TrainServeError as error:
        done.left = f"no file is removed, since it cannot be told which versions are cited: {error}"
    else:
        done.removed_files = vacuum(table, cited)
