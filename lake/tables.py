"""The tables of a use case: their names from `lake.table_names`, and the schemas that its input schema gives them.

An asset and its table have the same name. Times are UTC; durations are microseconds. The schemas that are the same in every
use case stand in `lake.fixed_schemas`.
"""

from collections.abc import Collection

import polars as pl

from lake.errors import SchemaMismatch
from lake.input_schema import Field, InputSchema
from lake.table_names import (
    COMMITS,
    DATASET,
    ERASURES,
    EVALUATION,
    EXPERIMENT,
    FEEDBACK,
    LABEL_DELIVERIES,
    LABELS,
    LOG,
    MAINTENANCE,
    PARAMETERS,
    PREDICTIONS,
    REJECTED_LABELS,
    RELEASE,
    TABLES,
    WINDOWS,
)

# Beside what is made here.
__all__ = [
    "COMMITS",
    "DATASET",
    "ERASURES",
    "EVALUATION",
    "EXPERIMENT",
    "FEEDBACK",
    "LABELS",
    "LABEL_DELIVERIES",
    "LOG",
    "MAINTENANCE",
    "PARAMETERS",
    "PREDICTIONS",
    "REJECTED_LABELS",
    "RELEASE",
    "TABLES",
    "WINDOWS",
]

TIME: pl.DataType = pl.Datetime("us", "UTC")
SPLITS = ("train", "holdout", "later")


def dtype_of(field: Field) -> pl.DataType:
    """The column type that holds the values of a field."""
    match field.type:
        case "category":
            return pl.String()
        case "integer":
            return pl.Int64()
        case "number":
            return pl.Float64()
        case "boolean":
            return pl.Boolean()
        case "timestamp":
            return TIME


def label_dtype(schema: InputSchema) -> pl.DataType:
    """The column type of the truth: a class's name, or a number (1.0 and 0.0 for a binary use case)."""
    return pl.String() if schema.task == "multiclass" else pl.Float64()


def features_dtype(schema: InputSchema) -> pl.Struct:
    """The fields of the input schema, as the log keeps them, as one struct column."""
    return pl.Struct({field.name: dtype_of(field) for field in schema.kept().fields})


def dataset_schema(schema: InputSchema, used: Collection[str] = ()) -> pl.Schema:
    """`dataset`: one row per labelled example; its fields, its label, its split. What is `used` is not hashed."""
    fields = {field.name: dtype_of(field) for field in schema.kept(used).fields}
    return pl.Schema({**fields, "label": label_dtype(schema), "split": pl.String()})


def feedback_schema(schema: InputSchema) -> pl.Schema:
    """`feedback`: one row per logged prediction whose label has arrived; its fields as the log keeps them, and its label."""
    return pl.Schema(
        {
            **{field.name: dtype_of(field) for field in schema.kept().fields},
            "label": label_dtype(schema),
            "request_id": pl.String(),
            "row": pl.Int64(),
            "package_digest": pl.String(),
        }
    )


def predictions_schema(schema: InputSchema) -> pl.Schema:
    """`predictions`: one row per request row and arm that computed it, keyed by `request_id`, `row`, `arm`.

    The features stand last: readers skip files by the ranges of the first 32 columns, and each field counts as one.
    """
    return pl.Schema(
        {
            "request_id": pl.String(),
            "row": pl.Int64(),
            "arm": pl.String(),
            "client_request_id": pl.String(),
            "event_time_utc": TIME,
            "received_at_utc": TIME,
            "purpose": pl.String(),
            "role": pl.String(),
            "release_seq": pl.Int64(),
            "package_digest": pl.String(),
            "engine": pl.String(),
            "parameters_version": pl.Int64(),
            "rule": pl.String(),
            "client_id": pl.String(),
            "routing_key_hash": pl.String(),
            "entity_key_hash": pl.String(),
            "raw": pl.Binary(),
            "scores": pl.List(pl.Float64()),
            "answer": pl.List(pl.Float64()),
            "outcome": pl.String(),
            "status": pl.Int64(),
            "attempts": pl.Int64(),
            "latency_us": pl.Int64(),
            "upstream_latency_us": pl.Int64(),
            "record_fields": pl.Int64(),
            "trace_id": pl.String(),
            "assigned_release_seq": pl.Int64(),  # null: the release that was asked by the key is that of `release_seq`
            "spool_id": pl.String(),
            "seq": pl.Int64(),
            "event_date": pl.Date(),
            "features": features_dtype(schema),
        }
    )


def labels_schema(schema: InputSchema) -> pl.Schema:
    """`labels`: one row per label received; names a prediction by `request_id` and `row`, or by entity and time."""
    return pl.Schema(
        {
            "request_id": pl.String(),
            "row": pl.Int64(),
            "entity_key_hash": pl.String(),
            "event_time_utc": TIME,
            "label": label_dtype(schema),
            "observed_at_utc": TIME,
            "received_at_utc": TIME,
            "client_id": pl.String(),
            "record_fields": pl.Int64(),
            "spool_id": pl.String(),
            "seq": pl.Int64(),
        }
    )


def conform(frame: pl.DataFrame, schema: pl.Schema, table: str) -> pl.DataFrame:
    """The frame with the schema's columns in its order. Raises SchemaMismatch naming every column that is off."""
    found = frame.schema
    problems = [
        f"column {name!r} is {found.get(name, 'missing')}, expected {dtype}"
        for name, dtype in schema.items()
        if found.get(name) != dtype
    ]
    problems += [f"column {name!r} is not expected" for name in found if name not in schema]
    if problems:
        raise SchemaMismatch(table, problems)
    return frame.select(schema.names())
