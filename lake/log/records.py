"""The rows of the log, predictions and labels: as records in a spool, and as frames for their tables."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import polars as pl
import xxhash

from lake.input_schema import InputSchema
from lake.tables import LABELS, PREDICTIONS, conform, filing_date, labels_schema, predictions_schema

MAXIMUM_RAW_BYTES = 4096

Purpose = Literal["answer", "shadow"]
Outcome = Literal["answered", "refused", "failed", "inactive"]


class PredictionRecord(msgspec.Struct, array_like=True, tag=PREDICTIONS, kw_only=True, gc=False):
    """One row of one request, as one arm computed it. Array-like: a field is added at the end, with a default."""

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


Record = PredictionRecord | LabelRecord

encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


def key_hash(key: str) -> str:
    """How a client's key or an entity's key stands in a row."""
    return xxhash.xxh3_128_hexdigest(key.encode())


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


def _frame(records: Sequence[PredictionRecord] | Sequence[LabelRecord], target: pl.Schema) -> pl.DataFrame:
    columns = []
    for name, dtype in target.items():
        attribute = f"{name[:-4]}_us" if name.endswith("_at_utc") or name == "event_time_utc" else name
        if attribute in type(records[0]).__struct_fields__:
            values = [getattr(record, attribute) for record in records]
            columns.append(_series(name, values, dtype))
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
