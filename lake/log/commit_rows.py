"""The rows of the table of commits: made of the commits' records, and read back to them.

A server that logs commits but has no table does without Polars, so they stand apart from `lake.log.commits`.
"""

from collections.abc import Iterator, Sequence

import msgspec
import polars as pl

from lake.errors import VerificationError
from lake.fixed_schemas import COMMITS_SCHEMA
from lake.log.commits import Commit, CommitRecord, Span
from lake.tables import COMMITS, conform

# The columns that hold a commit, and what they are called in it.
_MEMBERS = {name: name.replace("_at_utc", "_at_us") for name in COMMITS_SCHEMA if name not in ("seq", "commit_date")}


def commits_frame(records: Sequence[CommitRecord], seqs: Sequence[int]) -> pl.DataFrame:
    """The rows of `commits` for these records."""
    commits = [record.commit for record in records]
    columns = [
        pl.Series(name, [getattr(commit, member) for commit in commits], COMMITS_SCHEMA[name])
        for name, member in _MEMBERS.items()
        if name not in ("leaves", "spans")
    ]
    columns += [
        pl.Series("leaves", [record.leaves for record in records], COMMITS_SCHEMA["leaves"]),
        _spans([commit.spans for commit in commits]),
        pl.Series("seq", seqs, COMMITS_SCHEMA["seq"]),
    ]
    rows = pl.DataFrame(columns).with_columns(commit_date=pl.col("committed_at_utc").dt.date())
    return conform(rows, COMMITS_SCHEMA, COMMITS)


def _spans(of_commits: Sequence[tuple[Span, ...]]) -> pl.Series:
    """The column of spans, which are alike in many commits: a list of structs takes Polars longer than all other columns."""
    places = {spans: place for place, spans in enumerate(dict.fromkeys(of_commits))}
    distinct = pl.Series("spans", msgspec.to_builtins(list(places)), COMMITS_SCHEMA["spans"])
    return distinct.gather(pl.Series([places[spans] for spans in of_commits], dtype=pl.UInt32))


def commit_records(rows: pl.DataFrame) -> Iterator[CommitRecord]:
    """The records that these rows of `commits` were made of. Raises VerificationError for a row that was made of none."""
    plain = rows.select(pl.col(name).to_physical().alias(member) for name, member in _MEMBERS.items())
    for row in plain.iter_rows(named=True):
        leaves = row.pop("leaves")
        try:
            yield CommitRecord(msgspec.convert(row, Commit), msgspec.convert(leaves, bytes))
        except msgspec.ValidationError as error:
            what = f"the row of commit {row['number']} of slot {row['spool_id']}"
            raise VerificationError(what, f"values that no commit has ({error})", "what the worker logged") from error
