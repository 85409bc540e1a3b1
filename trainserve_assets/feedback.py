"""Feedback: what was asked, answered and later labelled, as examples to train on."""

import polars as pl

from lake.input_schema import InputSchema
from lake.tables import FEEDBACK, conform, feedback_schema

_ARRIVED = "when it arrived"  # no field has such a name


def feedback_rows(log: pl.LazyFrame, schema: InputSchema) -> pl.DataFrame:
    """One row for each labelled answer of the log, one for each entity and event time.

    Of several answers about the same thing the one counts that was asked last. Shadows are left out: nobody was
    answered by them, and the arm that answered has the same row.
    """
    about = [*filter(None, [schema.event_time]), *schema.entity_key]
    rows = (
        log.filter(pl.col("outcome") == "answered", pl.col("purpose") == "answer", pl.col("label").is_not_null())
        .select("request_id", "row", "package_digest", pl.col("received_at_utc").alias(_ARRIVED), "label", "features")
        .unnest("features")
        .sort(_ARRIVED, "request_id", "row")
        .unique(about, keep="last")
        .sort(*about, "request_id", "row", nulls_last=True)
        .select(feedback_schema(schema).names())
    )
    return conform(rows.collect(), feedback_schema(schema), f"{schema.use_case}/{FEEDBACK}")
