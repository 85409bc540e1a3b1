"""The schemas of the tables that have the same columns in every use case; the others are made in `lake.tables`."""

import polars as pl

from lake.tables import TIME

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
