"""Rows as the shipper makes them of what a worker logged."""

from collections.abc import Sequence

import polars as pl

from lake.input_schema import InputSchema
from lake.log.columns import Columns, kind_of
from lake.log.records import LabelRecord, PredictionRecord, encode_record


def rows_of(
    records: Sequence[PredictionRecord | LabelRecord | bytes], schema: InputSchema, first_seq: int = 1, spool_id: str = "s"
) -> pl.DataFrame:
    """The rows of these records of one kind, encoded or not, all of which can be read; numbered from `first_seq` on."""
    encoded = [record if isinstance(record, bytes) else encode_record(record) for record in records]
    seqs = range(first_seq, first_seq + len(encoded))
    frame, unreadable = Columns(kind_of(encoded[0]), schema).frame(encoded, seqs, spool_id)
    assert unreadable == []
    return frame
