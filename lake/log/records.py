"""The rows of the log, predictions and labels: as records in a spool, and as frames for their tables.

A row gives back the bytes of its record, so that it can be checked against the commit that sealed them: no field is lost on
the way, and there is one way to encode each. Members stand in the order of the struct, the fields of a row of features in
that of their names, and of these the null ones are left out, so that a later input schema encodes an old row as before.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import polars as pl

from lake.input_schema import InputSchema
from lake.log.commits import CommitRecord
from lake.tables import LABELS, PREDICTIONS, conform, filing_date, labels_schema, predictions_schema

MAXIMUM_RAW_BYTES = 4096

Purpose = Literal["answer", "shadow"]
Outcome = Literal["answered", "refused", "failed", "inactive"]


class PredictionRecord(msgspec.Struct, array_like=True, tag=PREDICTIONS, kw_only=True, gc=False):
    """One row of one request, as one arm computed it.

    Array-like: a field is added at the end, with a default, and `record_fields` tells how many there were then.
    """

    use_case: str
    request_id: str
    row: int
    event_time_us: int
    received_at_us: int
    outcome: Outcome
    status: int
    parameters_version: int
    latency_us: int
    purpose: Purpose = "answer"
    attempts: int = 0
    arm: str | None = None
    client_request_id: str | None = None
    role: str | None = None
    release_seq: int | None = None
    package_digest: str | None = None
    engine: str | None = None
    rule: str | None = None
    client_id: str | None = None
    routing_key_hash: str | None = None
    entity_key_hash: str | None = None
    features: Any = None
    raw: bytes | None = None
    scores: list[float] | None = None
    answer: list[float] | None = None
    upstream_latency_us: int | None = None
    record_fields: int = 27


class LabelRecord(msgspec.Struct, array_like=True, tag=LABELS, kw_only=True, gc=False):
    """One label as it was received. Names a prediction by `request_id` and `row`, or by entity and event time."""

    use_case: str
    request_id: str | None
    row: int | None
    entity_key_hash: str | None
    event_time_us: int | None
    label: float | str
    observed_at_us: int | None
    received_at_us: int
    client_id: str | None
    record_fields: int = 10


Record = PredictionRecord | LabelRecord | CommitRecord

encode_record = msgspec.msgpack.Encoder(order="sorted").encode
decode_record = msgspec.msgpack.Decoder(Record).decode


def predictions_frame(
    records: Sequence[PredictionRecord], spool_id: str, seqs: Sequence[int], schema: InputSchema
) -> pl.DataFrame:
    """The rows of `predictions` for these records."""
    target = predictions_schema(schema)
    frame = _frame(records, target)
    return conform(
        frame.with_columns(
            pl.Series("spool_id", [spool_id] * len(records), dtype=pl.String),
            pl.Series("seq", seqs, dtype=pl.Int64),
            event_date=filing_date(schema),
        ),
        target,
        PREDICTIONS,
    )


def labels_frame(records: Sequence[LabelRecord], spool_id: str, seqs: Sequence[int], schema: InputSchema) -> pl.DataFrame:
    """The rows of `labels` for these records."""
    target = labels_schema(schema)
    return conform(
        _frame(records, target).with_columns(
            pl.Series("spool_id", [spool_id] * len(records), dtype=pl.String), pl.Series("seq", seqs, dtype=pl.Int64)
        ),
        target,
        LABELS,
    )


def encoded_rows(rows: pl.DataFrame, table: str, use_case: str) -> Iterator[bytes]:
    """The encoded records that these rows of `predictions` or `labels` were made of."""
    kind = PredictionRecord if table == PREDICTIONS else LabelRecord
    columns = [_column(name) for name in kind.__struct_fields__ if name != "use_case"]
    plain = rows.select(pl.col(name).to_physical() if name.endswith("_utc") else name for name in columns)
    features = columns.index("features") if "features" in columns else None
    record_fields = columns.index("record_fields")
    for row in plain.iter_rows():
        values: list[Any] = list(row)
        if features is not None and values[features] is not None:
            values[features] = {name: value for name, value in values[features].items() if value is not None}
        members = [table, use_case, *values]
        yield encode_record(members[: 1 + (row[record_fields] or len(members))])


def _column(attribute: str) -> str:
    """The column that holds a field of a record: a moment's is of the type of moments, and named so."""
    return f"{attribute[:-3]}_utc" if attribute.endswith("_at_us") or attribute == "event_time_us" else attribute


def _frame(records: Sequence[PredictionRecord] | Sequence[LabelRecord], target: pl.Schema) -> pl.DataFrame:
    columns = []
    for attribute in type(records[0]).__struct_fields__:
        name = _column(attribute)
        if name in target:
            columns.append(_series(name, [getattr(record, attribute) for record in records], target[name]))
    return pl.DataFrame(columns)


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.List):
        return _rows_of_numbers(name, values, dtype)
    # msgspec has typed all others already: there a value that does not fit is our mistake, and raises.
    return pl.Series(name, values, dtype=dtype, strict=name not in ("features", "label"))


def _rows_of_numbers(name: str, values: list[list[float] | None], dtype: pl.List) -> pl.Series:
    """A column of lists. Polars would make a series of each row; here all are of one length, so they are cut from one."""
    lengths = {len(row) for row in values if row is not None}
    if len(lengths) != 1 or 0 in lengths:
        return pl.Series(name, values, dtype=dtype)
    [length] = lengths
    nothing = [None] * length
    flat = pl.Series(name, [number for row in values for number in (nothing if row is None else row)], dtype=pl.Float64)
    present = pl.Series([row is not None for row in values])
    return pl.select(pl.when(present).then(flat.reshape((-1, length)).arr.to_list()).alias(name)).to_series()
