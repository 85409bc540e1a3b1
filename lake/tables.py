"""The tables of a use case: their schemas, and their names from `lake.table_names`.

An asset and its table have the same name. Times are UTC; durations are microseconds.
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

EVALUATION_SCHEMA = pl.Schema(
    {
        "evaluation_id": pl.String(),  # digest of `document`
        "package_digest": pl.String(),
        "candidate": pl.String(),
        "model_version": pl.String(),
        "evaluated_at_utc": TIME,
        "document": pl.String(),  # canonical JSON of lake.evaluation.Evaluation
    }
)

WINDOWS_SCHEMA = pl.Schema(
    {
        "span_start_utc": TIME,
        "span_end_utc": TIME,
        "arm": pl.String(),
        "metric": pl.String(),
        "slice": pl.String(),
        "value": pl.Float64(),
        "n": pl.Int64(),
        "labels_as_of_utc": TIME,
    }
)

EXPERIMENT_SCHEMA = pl.Schema(
    {
        "decided_at_utc": TIME,
        "champion_digest": pl.String(),
        "challenger_digest": pl.String(),
        "verdict": pl.String(),  # go, no-go, keep running, invalid
        "reason": pl.String(),
        "metric": pl.String(),
        "champion_value": pl.Float64(),
        "challenger_value": pl.Float64(),
        "difference": pl.Float64(),
        "interval_low": pl.Float64(),
        "interval_high": pl.Float64(),
        "champion_n": pl.Int64(),
        "challenger_n": pl.Int64(),
        "days": pl.Int64(),
        "challenger_arm": pl.String(),
        "design": pl.String(),  # A/B, shadow
        "method": pl.String(),  # group-sequential, confidence sequence
        "ends_on": pl.Date(),  # null: no longest duration was declared
        "futile_by": pl.Date(),  # null: it may still be decided in time
        "sample_ratio_probability": pl.Float64(),
        "missing_share": pl.Float64(),
        "guardrails": pl.List(
            pl.Struct(
                {
                    "name": pl.String(),
                    "observed": pl.Float64(),
                    "low": pl.Float64(),
                    "limit": pl.Float64(),
                    "n": pl.Int64(),
                }
            )
        ),
        "worst_slice": pl.Struct(
            {"name": pl.String(), "difference": pl.Float64(), "low": pl.Float64(), "high": pl.Float64(), "n": pl.Int64()}
        ),
    }
)

COMMITS_SCHEMA = pl.Schema(
    {
        "spool_id": pl.String(),
        "number": pl.Int64(),
        "first_seq": pl.Int64(),
        "count": pl.Int64(),
        "root": pl.Binary(),
        "previous": pl.String(),
        "committed_at_utc": TIME,
        "spans": pl.List(pl.Struct({"use_case": pl.String(), "table": pl.String(), "count": pl.Int64()})),
        "key_id": pl.String(),
        "signature": pl.Binary(),
        "leaves": pl.Binary(),  # 32 bytes for each record
        "seq": pl.Int64(),
        "commit_date": pl.Date(),
    }
)

PARAMETERS_SCHEMA = pl.Schema(
    {
        "use_case": pl.String(),
        "version": pl.Int64(),
        "changed_by": pl.String(),
        "changed_at_utc": TIME,
        "why": pl.String(),
        "changes": pl.List(pl.String()),  # against the version before, in words
        "signed": pl.Boolean(),  # it carries signatures; whether they hold is for its readers to say
        "document": pl.String(),  # the version, in JSON; null where it cannot be read
        "seq": pl.Int64(),  # the version too: it is what the table counts by
    }
)

LABEL_DELIVERIES_SCHEMA = pl.Schema(
    {
        "drop": pl.String(),
        "seq": pl.Int64(),  # which delivery of this drop it is, from 1 on
        "version": pl.String(),  # the digest of a file, the version of a table
        "stamp": pl.String(),
        "delivered_at_utc": TIME,
        "rows": pl.Int64(),
        "accepted": pl.Int64(),
        "repeated": pl.Int64(),
        "rejected": pl.Int64(),
        "unknown": pl.Int64(),  # of the accepted, those that named no logged prediction by then
        "refused": pl.String(),  # why nothing, or no more, was read of it
        "last_seq": pl.Int64(),  # of the slot that its labels stand in
    }
)

REJECTED_LABELS_SCHEMA = pl.Schema(
    {
        "drop": pl.String(),
        "version": pl.String(),
        "row": pl.Int64(),  # of the drop, from 0 on
        "problems": pl.String(),
        "content": pl.String(),  # JSON, without the entity; null where the use case has sensitive fields
        "delivered_at_utc": TIME,
        "seq": pl.Int64(),
    }
)

MAINTENANCE_SCHEMA = pl.Schema(
    {
        "maintained_at_utc": TIME,
        "table": pl.String(),
        "joined_files": pl.Int64(),
        "retired_rows": pl.Int64(),
        "retired_before_utc": TIME,  # null: rows of any age were kept
        "removed_files": pl.Int64(),
        "files": pl.Int64(),
        "bytes": pl.Int64(),
        "rows": pl.Int64(),
        "left": pl.String(),  # what the run could not do
        "key_id": pl.String(),  # of the log's key that signed `retired_before_utc`; null where nothing was retired
        "signature": pl.Binary(),
    }
)

# Audit rows: one row for each record whose row was erased on purpose, which they say nothing of but where it stood.
ERASURES_SCHEMA = pl.Schema(
    {
        "erasure_id": pl.String(),
        "table": pl.String(),
        "spool_id": pl.String(),
        "seq": pl.Int64(),
        "leaf": pl.Binary(),
        "request_id": pl.String(),
        "row": pl.Int64(),
        "found_by": pl.String(),  # entity, features, raw, request
        "erased_at_utc": TIME,
        "asked_by": pl.String(),
        "why": pl.String(),
        "key_id": pl.String(),
        "signature": pl.Binary(),
    }
)


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


def filing_date(schema: InputSchema) -> pl.Expr:
    """`event_date`, the partition of a prediction's row: the day of its event time, or of its arrival.

    Arrival counts where the event time is further from it than the input schema allows; `event_time_utc` stays as it was
    told. So nobody who sends a row can make a partition far off, nor blind what looks back from the newest day.
    """
    event, arrival = pl.col("event_time_utc"), pl.col("received_at_utc")
    earliest = arrival - pl.duration(days=schema.event_days_before)
    latest = arrival + pl.duration(days=schema.event_days_after)
    return pl.when(event.is_between(earliest, latest)).then(event).otherwise(arrival).dt.date()


def filing_time() -> pl.Expr:
    """The moment under which a logged prediction is looked at: its event time, or its arrival where that was its partition."""
    event, arrival = pl.col("event_time_utc"), pl.col("received_at_utc")
    return pl.when(event.dt.date() == pl.col("event_date")).then(event).otherwise(arrival)


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
