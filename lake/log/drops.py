"""Drops: labels that come as a Parquet file or a Delta table, as many as there are, put where they are looked for.

The columns are the members of a label, as over HTTP. What is read of a drop does not change meanwhile: a file is copied
first, and its digest is its version; a table is read at one version.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal

import msgspec
import polars as pl
from polars.exceptions import PolarsError

from lake.delta import rows_at
from lake.documents import DocumentStore
from lake.errors import InvalidInput, Problem, TrainServeError, Unavailable
from lake.input_schema import InputSchema
from lake.tables import TIME, label_dtype

ROW, AGAIN, CONTRADICTED = "drop_row", "said_again", "contradicted"
MEMBERS = ("label", "request_id", "row", "entity", "event_time", "observed_at")
_KEY = "drop_key"

_PARQUET = ".parquet"
_LOG = "_delta_log"
_HIDDEN = ("_", ".")  # how the names begin of what a writer has not finished
_BATCH_ROWS = 25_000
# The keys of so many rows are held against each other at once.
_PASS_ROWS = 2_000_000


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """A drop by its path in the folder of drops; `stamp` changes whenever it is written, and is the version of a table."""

    name: str
    kind: Literal["parquet", "delta"]
    stamp: str

    def unreadable(self, error: Exception) -> TrainServeError:
        """What it means that its rows cannot be read: a file is no Parquet; the files of a table may be back."""
        if self.kind == "delta":
            return Unavailable(f"the Delta table {self.name}", str(error))
        return InvalidInput([Problem(path="the file", found=str(error), expected="a whole Parquet file")])


class PinnedDrop(msgspec.Struct, frozen=True, kw_only=True):
    """A drop as it stood at one moment: `version` names its bytes. `rows` are typed, and have all members of a label."""

    drop: Drop
    version: str
    rows: pl.LazyFrame

    def batches(self) -> Iterator[pl.DataFrame]:
        """Its rows, some at a time, each with its number from 0 on, and how it stands to others of one name and observation.

        `said_again` is a row that an earlier one says, `contradicted` one that another says otherwise: the rows of a drop
        have no order, so none of them is the last. Memory is bounded, whatever the drop. Raises as `Drop.unreadable` says.
        """
        try:
            marked = (
                self.rows.join(self._crowded().lazy(), on=_KEY, how="left", maintain_order="left")
                .with_columns(
                    pl.col(CONTRADICTED).fill_null(value=False),
                    (pl.col(ROW) != pl.col("first")).fill_null(value=False).alias(AGAIN),
                )
                .drop("first", _KEY)
            )
            yield from marked.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
        except (PolarsError, OSError) as error:
            raise self.drop.unreadable(error) from error

    def _crowded(self) -> pl.DataFrame:
        """The keys that more than one row has, with the first such row, and whether these rows say different things."""
        height = self.rows.select(pl.len()).collect().item()
        passes = height // _PASS_ROWS + 1
        label = pl.col("label")
        found = [
            self.rows.filter(pl.col(_KEY) % passes == number)  # a row whose label is none has no key
            .group_by(_KEY)
            .agg(pl.len(), pl.col(ROW).min().alias("first"), (label.min() != label.max()).alias(CONTRADICTED))
            .filter(pl.col("len") > 1)
            .drop("len")
            .collect(engine="streaming")
            for number in range(passes)
        ]
        return pl.concat(found)


class DropFolder:
    """A folder in which drops are put: one of the lake, or the root of a store of its own."""

    def __init__(self, store: DocumentStore, folder: str = "") -> None:
        self._store = store
        self._folder = folder

    def drops(self) -> list[Drop]:
        """All drops below the folder, however deep, by name; it may itself be a Delta table. None where there is no folder."""
        files = [(PurePosixPath(file.path), file) for file in self._store.files(self._folder)]
        tables: dict[PurePosixPath, int] = {}
        for path, _ in files:
            if path.parent.name == _LOG and path.suffix == ".json" and path.stem.isdecimal():
                root = path.parents[1]
                tables[root] = max(int(path.stem), tables.get(root, 0))
        found = [
            Drop(name=str(path), kind="delta", stamp=str(version)) for path, version in tables.items() if not _is_hidden(path)
        ]
        found += [
            Drop(name=str(path), kind="parquet", stamp=file.stamp)
            for path, file in files
            if path.suffix == _PARQUET and not _is_hidden(path) and tables.keys().isdisjoint(path.parents)
        ]
        return sorted(found, key=lambda drop: drop.name)

    @contextmanager
    def pinned(self, drop: Drop, schema: InputSchema) -> Iterator[PinnedDrop]:
        """The drop, which stays as it is until this is left.

        Raises InvalidInput where its bytes or columns are not those of labels, NotFound where it is gone, Unavailable.
        """
        path = "/".join(part for part in (self._folder, drop.name) if part not in ("", "."))
        if drop.kind == "delta":
            rows = rows_at(f"{self._store.root}/{path}".rstrip("/"), int(drop.stamp), MEMBERS)
            yield PinnedDrop(drop=drop, version=f"version {drop.stamp}", rows=_typed(drop, rows, schema))
            return
        with TemporaryDirectory(prefix="trainserve-") as folder:
            copy = Path(folder) / "drop.parquet"
            digest = self._store.download(path, copy)
            rows = pl.scan_parquet(copy, glob=False)
            yield PinnedDrop(drop=drop, version=digest, rows=_typed(drop, rows, schema))


def _typed(drop: Drop, rows: pl.LazyFrame, schema: InputSchema) -> pl.LazyFrame:
    """The rows with all members of a label, and with a key that those of one name and observation share."""
    try:
        found = rows.collect_schema()
    except (PolarsError, OSError) as error:
        raise drop.unreadable(error) from error
    problems = list(_problems(found, schema))
    if problems:
        raise InvalidInput(problems)
    dtypes = {
        "label": label_dtype(schema),
        "request_id": pl.String(),
        "row": pl.Int64(),
        "entity": found.get("entity", pl.Null()),
        "event_time": TIME,
        "observed_at": TIME,
    }
    members = [_converted(name, dtype) if name in found else pl.lit(None, dtype).alias(name) for name, dtype in dtypes.items()]
    by_request = pl.col("request_id").is_not_null()
    name: list[str | pl.Expr] = [
        "request_id",
        pl.when(by_request).then("row").alias("row"),
        pl.when(~by_request).then("entity").alias("entity"),
        pl.when(~by_request).then("event_time").alias("event_time"),
    ]
    label = pl.col("label")
    says = label.is_not_null() if schema.task == "multiclass" else label.is_finite()
    return (
        rows.select(members)
        .with_columns(pl.col("row").fill_null(0))
        .with_columns(pl.when(says).then(pl.struct([*name, "observed_at"]).hash()).alias(_KEY))
        .with_row_index(ROW)
    )


def _converted(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return column.dt.convert_time_zone("UTC").cast(dtype) if dtype == TIME else column.cast(dtype)


def _problems(found: pl.Schema, schema: InputSchema) -> Iterator[Problem]:
    """What is wrong with the columns of a drop."""
    for name, dtype in found.items():
        expected = _expected(name, dtype, schema)
        if expected:
            yield Problem(path=name, found=str(dtype), expected=expected)
    if "label" not in found:
        yield Problem(path="label", found="no such column", expected="the truth about each row")
    if {"request_id", "entity"}.isdisjoint(found):
        yield Problem(path="request_id", found="no such column", expected="request_id, or entity and event_time")


def _expected(name: str, dtype: pl.DataType, schema: InputSchema) -> str:
    """What a column of this name has to be; empty where it is."""
    is_text = isinstance(dtype, pl.String | pl.Categorical | pl.Enum)
    is_time = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    entity = sorted(field.name for field in dtype.fields) if isinstance(dtype, pl.Struct) else None
    label = (is_text, "text: a class's name") if schema.task == "multiclass" else (dtype.is_numeric(), "numbers")
    fits, expected = {
        "label": label,
        "request_id": (is_text, "text"),
        "row": (dtype.is_integer(), "integers"),
        "entity": (entity == sorted(schema.entity_key), f"a struct of {', '.join(schema.entity_key)}"),
        "event_time": (is_time, "times with a time zone, as UTC"),
        "observed_at": (is_time, "times with a time zone, as UTC"),
    }.get(name, (False, f"no column but {', '.join(MEMBERS)}"))
    return "" if fits else expected


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(_HIDDEN) for part in path.parts)
