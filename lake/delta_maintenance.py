"""What keeps a Delta table small in files and quick to open, with its rows as they are.

Each verb is safe to run twice, and beside those who write and read.
"""

from collections.abc import Collection, Mapping

import polars as pl

from lake.delta import RETRIED, Table, file_properties

# Joining mixes rows, so a file of a table without partitions is full early: it then is of one stretch of time for good, and who
# looks for rows of another passes over it by its ranges, however long the table grows.
_FULL_BYTES, _FULL_BYTES_OF_PARTITION = 8 * 1024 * 1024, 128 * 1024 * 1024
_SMALL = 4  # so many of its size make a full one


def configure(table: Table, properties: Mapping[str, str]) -> bool:
    """Give the table these properties of Delta; returns whether any was other. Safe to run twice.

    It is a change that writers who commit meanwhile run into; `append_once` begins again.
    """
    handle = table.open()
    found = handle.metadata().configuration
    missing = {name: value for name, value in properties.items() if found.get(name) != value}
    if missing:
        with table.rewriting(handle):
            handle.alter.set_table_properties(missing)
    return bool(missing)


def compact(table: Table, fewest: int) -> int:
    """Join the small files of each partition that has at least this many; returns how many files were joined.

    A file that is full is left as it is.

    Safe to run twice and beside appends: the rows are the same, and readers of an older version keep its files until
    `vacuum`. Raises Conflict where rows were deleted meanwhile; partitions that were done by then stay so.
    """
    handle = table.open()
    by = [f"partition.{column}" for column in handle.metadata().partition_columns]
    full = _FULL_BYTES_OF_PARTITION if by else _FULL_BYTES
    small = table.files().filter(pl.col("size_bytes") < full // _SMALL)
    crowded = small.group_by(by or pl.lit(0).alias("all")).len().filter(pl.col("len") >= fewest)
    joined = 0
    with table.rewriting(handle):
        for values in crowded.select(by).rows() if by else [()] * crowded.height:
            made = handle.optimize.compact(
                partition_filters=[
                    (column.removeprefix("partition."), "=", str(value)) for column, value in zip(by, values, strict=True)
                ]
                or None,
                target_size=full,
                max_concurrent_tasks=1,  # bounded memory, and a core for those who serve
                writer_properties=file_properties([field.name for field in handle.schema().fields]),
                commit_properties=RETRIED,
            )
            joined += int(made["numFilesRemoved"])
    return joined


def checkpoint(table: Table) -> None:
    """Write the newest version down in one file, so that it opens without the log entries before it."""
    handle = table.open()
    with table.rewriting(handle):
        handle.create_checkpoint()


def clean_log(table: Table) -> None:
    """Remove log entries before a checkpoint that are older than `delta.logRetentionDuration`: their versions with them."""
    table.open().cleanup_metadata()


def vacuum(table: Table, keep_versions: Collection[int] = ()) -> int:
    """Remove files that the newest version does not have, nor one of these; returns how many. Safe to run twice.

    A file goes only when it is without use for `delta.deletedFileRetentionDuration`: so long may a reader take, and a
    writer between a file and its commit. Where there is none to remove, no version is made.
    """
    handle = table.open()
    keep = sorted(keep_versions)
    if not handle.vacuum(dry_run=True, full=True, keep_versions=keep):
        return 0
    with table.rewriting(handle):
        return len(handle.vacuum(dry_run=False, full=True, keep_versions=keep))
