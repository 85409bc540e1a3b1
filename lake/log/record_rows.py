"""The rows of predictions and labels, back to the bytes of the records that they were made of; see `lake.log.records`."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from lake.log.records import LabelRecord, PredictionRecord, column_of, encode_record
from lake.tables import PREDICTIONS


def encoded_rows(rows: pl.DataFrame, table: str, use_case: str) -> Iterator[bytes]:
    """The encoded records that these rows of `predictions` or `labels` were made of."""
    kind = PredictionRecord if table == PREDICTIONS else LabelRecord
    columns = [column_of(name) for name in kind.__struct_fields__ if name != "use_case"]
    known = [name for name in columns if name in rows.columns]
    later = [pl.lit(None).alias(name) for name in columns if name not in rows.columns]  # than any row of the table
    plain = rows.select(*(pl.col(name).to_physical() if name.endswith("_utc") else name for name in known), *later)
    features = columns.index("features") if "features" in columns else None
    record_fields = columns.index("record_fields")
    for row in plain.select(columns).iter_rows():
        values: list[Any] = list(row)
        if features is not None and values[features] is not None:
            values[features] = {name: value for name, value in values[features].items() if value is not None}
        members = [table, use_case, *values]
        yield encode_record(members[: 1 + (row[record_fields] or len(members))])
