"""The only door to Delta tables. Each write is a verb that is safe to run twice.

What keeps a table quick to open stands in `lake.delta_maintenance`, what takes records out of it in `lake.delta_erasure`.
"""

import contextlib
import os
import random
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import polars as pl
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lake.bucket import check_put_if_absent, in_one_line, table_options
from lake.delta_log import sync_commits
from lake.delta_properties import NO_RANGES, log_properties
from lake.errors import Conflict, NotFound, Unavailable
from lake.failpoints import reach
from lake.times import rfc3339

_RETRIES_OF_ONE_COMMIT = 50
_ATTEMPTS = 5
_PAUSE_S = 0.05
_DIGEST = "trainserve.digest"
_KEEP_ROWS = ("OPTIMIZE", "SET TBLPROPERTIES", "VACUUM START", "VACUUM END")
# Columns whose values hardly repeat: a dictionary of them costs more than it saves.
_DISTINCT = (
    "request_id",
    "client_request_id",
    "event_time_utc",
    "received_at_utc",
    "routing_key_hash",
    "entity_key_hash",
    "seq",
)
# A page is bounded by its bytes; the few rows that a page has by default make a file greater by a fifth.
_ROWS_BY_PAGE = 1_000_000
_ROW_GROUP = 131_072  # what is read of a busy day at once, a slice of its rows or a range of its labels, is some of these
# Of a commit that is tried again where others commit meanwhile.
RETRIED = CommitProperties(max_commit_retries=_RETRIES_OF_ONE_COMMIT)

_Comparison = Literal["=", ">", ">="]


class Table:
    """One Delta table of a use case."""

    def __init__(self, lake: str, use_case: str, name: str) -> None:
        self.use_case = use_case
        self.name = name
        self.uri = f"{lake}/{use_case}/{name}"
        self._lake = lake
        self._options = table_options(lake)

    def open(self, version: int | None = None) -> DeltaTable:
        """A handle at the newest version, or at the one named. Raises NotFound, Unavailable."""
        try:
            return DeltaTable(self.uri, version=version, storage_options=self._options)
        except TableNotFoundError as error:
            raise NotFound("table", f"{self.use_case}/{self.name}", "It appears with its first rows.") from error
        except (DeltaError, OSError) as error:
            raise self._away(error) from error

    def exists(self) -> bool:
        """Whether anything was ever written to it. Raises Unavailable."""
        try:
            return DeltaTable.is_deltatable(self.uri, storage_options=self._options)
        except OSError as error:
            raise self._away(error) from error

    def version(self) -> int | None:
        """The newest version, or None while there is no table."""
        return self.open().version() if self.exists() else None

    def scan(self, version: int | None = None) -> pl.LazyFrame:
        """Its rows, lazily, at the newest version or at the one named. Raises NotFound."""
        return pl.scan_delta(self.open(version))

    def scan_partitions(self, column: str, comparison: _Comparison, value: date) -> pl.LazyFrame:
        """The rows of those partitions of whose value this holds, lazily, the oldest file first. Raises NotFound.

        No filter is left to be applied to rows, so that a slice of them is read as a slice; of filtered rows all are decoded.
        """
        handle = self.open()
        schema = pl.Schema(handle.schema())
        which: list[tuple[str, str, date]] = [(column, comparison, value)]
        paths = [*reversed(handle.file_uris(file_pruning_predicate=which))]
        if not paths:
            return schema.to_frame().lazy()
        return pl.scan_parquet(
            paths,
            schema=schema,
            hive_schema={name: schema[name] for name in handle.metadata().partition_columns},
            missing_columns="insert",
            cast_options=pl.ScanCastOptions(missing_struct_fields="insert"),
            storage_options=self._options,
        )

    def digest(self) -> str | None:
        """The digest of its rows that the newest `replace` recorded, or None when other rows came after it."""
        if not self.exists():
            return None
        for commit in self.open().history(limit=20):
            if _DIGEST in commit or commit.get("operation") not in _KEEP_ROWS:
                return commit.get(_DIGEST)
        return None

    def replace(self, frame: pl.DataFrame, digest: str, metadata: Mapping[str, str] | None = None) -> int:
        """Make the table hold just this frame; returns its version.

        Safe to run twice: a frame whose digest the newest version already carries is not written again. The log tells no
        range of any column: nobody looks for some rows of such a table, and a range names the values at its ends.
        """
        check_put_if_absent(self._lake)
        if self.exists() and self.digest() == digest:
            return self.open().version()
        properties = CommitProperties(
            custom_metadata={_DIGEST: digest, **(metadata or {})}, max_commit_retries=_RETRIES_OF_ONE_COMMIT
        )
        before = self.version()
        write_deltalake(
            self.uri,
            frame,
            mode="overwrite",
            schema_mode="overwrite",
            configuration={**NO_RANGES},
            commit_properties=properties,
            storage_options=self._options,
        )
        return self._sync_commits_after(before)

    def append_new(self, frame: pl.DataFrame, key: list[str]) -> int:
        """Append the rows whose key is not there yet; returns how many were. Safe to run twice. One writer at a time.

        Of the table only the rows are read whose first key column is within the frame's range.
        """
        check_put_if_absent(self._lake)
        if self.exists() and frame.height:
            first = frame[key[0]]
            near = pl.col(key[0]).is_between(pl.lit(first.min()), pl.lit(first.max())) | pl.col(key[0]).is_null()
            known = self.scan().filter(near).select(key).unique().collect()
            frame = frame.join(known, on=key, how="anti", nulls_equal=True)
        frame = frame.unique(key, keep="first", maintain_order=True)
        if frame.height:
            before = self.version()
            write_deltalake(
                self.uri,
                frame,
                mode="append",
                schema_mode="merge",
                commit_properties=RETRIED,
                storage_options=self._options,
            )
            self._sync_commits_after(before)
        return frame.height

    def append_once(self, frame: pl.DataFrame, source: str, partition_by: list[str] | None = None) -> int:
        """Append a source's rows, each exactly once; returns how many were new.

        `frame` has the column `seq`, which grows by one for each row that the source ever wrote. The table carries the
        source's highest `seq` as an application transaction, which is a compare-and-swap on the handle that is held:
        read it, drop the rows at or below it, commit both with that handle; after any failure read and drop again.
        """
        if frame.is_empty():
            return 0
        check_put_if_absent(self._lake)
        failure: DeltaError | OSError | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(random.uniform(0, _PAUSE_S * 2**attempt))  # noqa: S311 - two that collided are to part
            handle = self._created(frame, partition_by)
            known = handle.transaction_version(source)
            fresh = frame if known is None else frame.filter(pl.col("seq") > known)
            if fresh.is_empty():
                # They were committed by a life that may have ended before it synced: which commit is not known.
                if self._local:
                    os.sync()
                return 0
            high = int(fresh.select(pl.col("seq").max()).item())
            before = handle.version()
            try:
                write_deltalake(
                    handle,
                    fresh,
                    mode="append",
                    schema_mode="merge",
                    writer_properties=file_properties(fresh.columns),
                    commit_properties=CommitProperties(
                        app_transactions=[Transaction(source, high)], max_commit_retries=_RETRIES_OF_ONE_COMMIT
                    ),
                )
            except (DeltaError, OSError) as error:
                failure = error
                continue
            reach("committed")
            if known is None and self._local:
                os.sync()  # the table may be new, made by a life that ended before it synced what it made
            else:
                self._sync_commits_after(before, handle.version())
            return fresh.height
        last = "" if failure is None else in_one_line(failure)
        raise Unavailable(f"table {self.use_case}/{self.name}", f"{_ATTEMPTS} commits failed, the last with: {last}")

    def files(self) -> pl.DataFrame:
        """The files of the newest version: `path`, `size_bytes`, `num_records`, and a `partition.` column for each partition."""
        files = pl.DataFrame(self.open().get_add_actions(flatten=True))
        return files.select("path", "size_bytes", "num_records", pl.col("^partition\\..*$"))

    def delete_before(self, column: str, moment: datetime) -> int:
        """Delete the rows whose time in this column is before a moment, as `delete` does."""
        return self.delete(f"{column} < '{rfc3339(moment)}'")

    def delete(self, predicate: str) -> int:
        """Delete the rows of which this SQL holds; returns how many. Safe to run twice.

        Their files stay until `vacuum`. Raises Conflict where such rows were written or rewritten meanwhile.
        """
        handle = self.open()
        with self.rewriting(handle):
            made = handle.delete(
                predicate,
                writer_properties=file_properties([field.name for field in handle.schema().fields]),
                commit_properties=RETRIED,
            )
        return int(made["num_deleted_rows"])

    @contextlib.contextmanager
    def rewriting(self, handle: DeltaTable) -> Iterator[None]:
        """Fsync what is made here; a commit that does not fit to those made meanwhile is a Conflict."""
        before = handle.version()
        try:
            yield
        except CommitFailedError as error:
            self._sync_commits_after(before)  # other partitions were done by then
            raise Conflict(
                f"table {self.use_case}/{self.name}", "that nobody rewrites it meanwhile", in_one_line(error)
            ) from error
        except (DeltaError, OSError) as error:
            raise self._away(error) from error
        self._sync_commits_after(before)

    def _created(self, frame: pl.DataFrame, partition_by: list[str] | None) -> DeltaTable:
        with contextlib.suppress(NotFound):
            return self.open()
        with contextlib.suppress(DeltaError):  # somebody else made it in the same moment: then it opens
            write_deltalake(
                self.uri,
                frame.clear(),
                mode="ignore",
                partition_by=partition_by,
                configuration={**log_properties(frame.columns)},
                storage_options=self._options,
            )
        return self.open()

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"table {self.use_case}/{self.name}", in_one_line(error))

    @property
    def _local(self) -> bool:
        return self._options is None

    def _sync_commits_after(self, before: int | None, version: int | None = None) -> int:
        """Fsync what commits made up to a version, else to the newest, which delta-rs does not do; returns that version.

        So it does with the commit before: it may be another writer's, who is about to, and none stands without it.
        """
        version = self.open().version() if version is None else version
        if self._local:
            sync_commits(Path(self.uri), before or 0, version)
        return version


def rows_at(address: str, version: int, columns: Collection[str]) -> pl.LazyFrame:
    """The rows of somebody else's table, at one version. Raises NotFound, Unavailable.

    A column that only says how the table is partitioned is left out, unless it is one of those that are looked for.
    """
    try:
        handle = DeltaTable(address, version=version, storage_options=table_options(address))
        return pl.scan_delta(handle).drop(name for name in handle.metadata().partition_columns if name not in columns)
    except TableNotFoundError as error:
        raise NotFound("Delta table", address) from error
    except (DeltaError, OSError) as error:
        raise Unavailable(f"the Delta table {address}", in_one_line(error)) from error


def file_properties(columns: Collection[str]) -> WriterProperties:
    """How the files of rows with these columns are written."""
    plain = dict.fromkeys([name for name in _DISTINCT if name in columns], ColumnProperties(dictionary_enabled=False))
    return WriterProperties(
        compression="ZSTD", max_row_group_size=_ROW_GROUP, data_page_row_count_limit=_ROWS_BY_PAGE, column_properties=plain
    )
