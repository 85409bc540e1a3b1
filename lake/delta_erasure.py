"""Rows of a Delta table that go on purpose, and at once: by their numbers, and then the files that held them.

Maintenance keeps files without use for hours, for readers; here they go now, and a reader who is among them fails.
"""

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping

import polars as pl

from lake.bucket import is_bucket
from lake.delta import Table
from lake.delta_maintenance import checkpoint
from lake.documents import DocumentStore
from lake.errors import Conflict

# delta-rs compares a row with each number in turn, and takes some ten thousand of them for a stack without end.
_NUMBERS_OF_ONE_COMMIT = 2_000
_ATTEMPTS = 5

Version = tuple[int, frozenset[str]]


def delete_records(table: Table, numbers: Mapping[str, Collection[int]]) -> int:
    """Delete the rows of these records, by slot and number; returns how many. Safe to run twice, and beside appends.

    Raises Conflict where others rewrite the same rows again and again; what was deleted by then stays so.
    """
    return sum(_delete(table, predicate) for predicate in _predicates(numbers))


def remove_unused(table: Table, keep_versions: Collection[int] = ()) -> None:
    """Remove now the files of which some version had rows that neither the newest has, nor one of these. Safe to run twice.

    Files that no version ever named stay: they may be those of a writer who is about to commit.
    """
    handle = table.open()
    keep = sorted(keep_versions)
    unused = handle.vacuum(0, dry_run=True, enforce_retention_duration=False, keep_versions=keep)
    if unused:
        with table.rewriting(handle):
            handle.vacuum(0, dry_run=False, enforce_retention_duration=False, keep_versions=keep)
        checkpoint(table)
        if not is_bucket(table.uri):
            os.sync()  # a name that is gone in memory alone comes back after a power cut


def versions(table: Table) -> list[Version]:
    """The versions that the log of a table still tells, newest first, each with the names of its files."""
    numbers = sorted((int(commit["version"]) for commit in table.open().history()), reverse=True)
    return [(number, frozenset(uri.rpartition("/")[2] for uri in table.open(number).file_uris())) for number in numbers]


def readable(store: DocumentStore, table: Table, found: Collection[Version]) -> list[int]:
    """Those of these versions of a table without partitions whose files are all there."""
    there = set(store.names(f"{table.use_case}/{table.name}"))
    return [number for number, names in found if names <= there]


def _delete(table: Table, predicate: str) -> int:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(Conflict):  # as where the same files were joined meanwhile
            return table.delete(predicate)
    return table.delete(predicate)


def _predicates(numbers: Mapping[str, Collection[int]]) -> Iterator[str]:
    """Each about so many records as one commit can take."""
    rows = pl.DataFrame(
        [(spool, seq) for spool, seqs in numbers.items() for seq in seqs],
        schema={"spool_id": pl.String, "seq": pl.Int64},
        orient="row",
    )
    for part in rows.unique().sort("spool_id", "seq").iter_slices(_NUMBERS_OF_ONE_COMMIT):
        yield " OR ".join(
            _of_slot(str(spool), seqs["seq"].to_list()) for (spool,), seqs in part.group_by("spool_id", maintain_order=True)
        )


def _of_slot(spool: str, seqs: list[int]) -> str:
    """The range stands beside the numbers, since by it alone delta-rs tells which files it need not read."""
    quoted = spool.replace("'", "''")
    listed = ", ".join(map(str, seqs))
    return f"(spool_id = '{quoted}' AND seq BETWEEN {seqs[0]} AND {seqs[-1]} AND seq IN ({listed}))"
