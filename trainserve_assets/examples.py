"""Labelled examples: what a use case's source and feedback make of history, and which split each row is in."""

import importlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import polars as pl

from checks.data_quality import shortcomings
from lake.delta import Table
from lake.errors import SchemaMismatch, SettingError, VerificationError
from lake.input_schema import InputSchema
from lake.log.privacy import Privacy
from lake.tables import TIME, conform, dataset_schema, dtype_of, label_dtype
from trainserve_assets.use_case import Split, UseCase


def read_source(use_case: UseCase) -> pl.LazyFrame:
    """The use case's own history. Raises SettingError when `source` names nothing that can be called."""
    module, _, name = use_case.source.partition(":")
    expected = "module:function, a function without arguments that returns a lazy frame"
    try:
        read = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingError(f"source of {use_case.name!r}", use_case.source, f"{expected} ({error})") from error
    history = read()
    if not isinstance(history, pl.LazyFrame):
        raise SettingError(f"source of {use_case.name!r}", f"{use_case.source} returning {type(history).__name__}", expected)
    return history


def examples(
    use_case: UseCase, history: pl.LazyFrame, feedback: pl.LazyFrame | None = None, privacy: Privacy | None = None
) -> pl.DataFrame:
    """One row for each labelled example from `train_from` on, sorted by time and entity, with its split.

    The source counts up to `history_until`; feedback adds what was asked and answered since. An example that both
    have, by entity and event time, is the source's. Sensitive fields that nothing uses are kept as in the log, so that the
    two meet; `privacy` hashes them. Feedback that lacks values of a field that is used is left out: see `UseCase.lacking`.
    Raises SchemaMismatch naming every column of the source that is off.
    """
    schema = use_case.input_schema.kept(use_case.used)
    key = example_key(schema)
    typed = _typed(history, use_case.input_schema).filter(_time(use_case) < start_of(use_case.history_until))
    parts = [typed.select(*_as_kept(use_case, privacy), "label")]
    if feedback is not None and not use_case.lacking:
        parts.append(_typed(feedback, schema).join(parts[0], on=key, how="anti", nulls_equal=True))
    together = (
        pl.concat(parts)
        .filter(pl.col("label").is_not_null(), _time(use_case) >= start_of(use_case.split.train_from))
        .with_columns(split=split_of(_time(use_case), use_case.split))
        .sort([*key, "label"], nulls_last=True)
        .collect()
    )
    return conform(together, dataset_schema(schema, use_case.used), f"{use_case.name}/dataset")


def example_key(schema: InputSchema) -> list[str]:
    """The columns that say which example a row is: event time, then the entity; without an entity, all fields."""
    time = str(schema.event_time)
    return [time, *(name for name in schema.entity_key or schema.names if name != time)]


def split_of(time: pl.Expr, split: Split) -> pl.Expr:
    """Which split a row of this time is in: train, holdout, or later."""
    return (
        pl.when(time < start_of(split.holdout_from))
        .then(pl.lit("train"))
        .when(time < start_of(split.holdout_until))
        .then(pl.lit("holdout"))
        .otherwise(pl.lit("later"))
    )


def read_examples(table: Table, use_case: UseCase, version: int, split: str) -> pl.DataFrame:
    """The rows of one split of one version of the dataset, in one order however its files lie."""
    return table.scan(version).filter(split=split).sort(example_key(use_case.input_schema), nulls_last=True).collect()


def held_version(table: Table, use_case: UseCase) -> int:
    """The newest version of the dataset, to learn from and to judge by.

    A failed check of the dataset stops its own run alone, and this what is launched later. Raises NotFound, and
    VerificationError naming all that does not hold.
    """
    version = table.open().version()
    schema = use_case.input_schema.kept(use_case.used)
    if broken := shortcomings(table.scan(version), schema, example_key(schema)):
        expected = f"rows that pass its checks: mend the source, and materialize {use_case.name}/dataset"
        raise VerificationError(f"version {version} of {use_case.name}/dataset", "; ".join(broken), expected)
    return version


def rows_of(frame: pl.DataFrame, features: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The rows of a frame as an engine takes them."""
    return frame.select(features).rows()


def day_of(schema: InputSchema) -> pl.Expr:
    """The UTC day of a row's event time."""
    return pl.col(str(schema.event_time)).dt.date()


def start_of(day: str) -> pl.Expr:
    """The moment at which a day begins, in UTC."""
    return pl.lit(day).str.to_datetime("%Y-%m-%d").cast(TIME)


def _typed(rows: pl.LazyFrame, schema: InputSchema) -> pl.LazyFrame:
    """Fields and label in their types. What cannot be misread is converted; all else is refused."""
    expected = {**{field.name: dtype_of(field) for field in schema.fields}, "label": label_dtype(schema)}
    problems = []
    for name, dtype in expected.items():
        found = rows.collect_schema().get(name)
        if found is None:
            problems.append(f"column {name!r} is missing, expected {dtype}")
        elif not _converts(found, dtype):
            problems.append(f"column {name!r} is {found}, expected {dtype}")
    if problems:
        raise SchemaMismatch(f"{schema.use_case}/source", problems)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in expected.items())


def _as_kept(use_case: UseCase, privacy: Privacy | None) -> Iterator[pl.Expr]:
    """The fields of the source as the dataset keeps them."""
    for field in use_case.input_schema.kept(use_case.used).fields:
        column = pl.col(field.name)
        if field == use_case.input_schema.field(field.name):
            yield column
        elif privacy is None:
            raise SettingError(f"the key to hash {field.name!r} with", None, "the privacy key of this lake")
        else:
            hashed = partial(privacy.value_hash, use_case.name, field.name)
            yield column.map_elements(hashed, return_dtype=pl.String)


def _converts(found: pl.DataType, dtype: pl.DataType) -> bool:
    """Whether every value of one type is a value of the other: wider numbers, times in UTC, named categories."""
    match dtype:
        case pl.Float64():
            return found.is_numeric() or found == pl.Boolean
        case pl.Int64():
            return found.is_integer()
        case pl.Datetime():
            return isinstance(found, pl.Datetime) and found.time_zone == "UTC"
        case pl.String():
            return isinstance(found, pl.String | pl.Categorical | pl.Enum)
    return found == dtype


def _time(use_case: UseCase) -> pl.Expr:
    return pl.col(str(use_case.input_schema.event_time))
