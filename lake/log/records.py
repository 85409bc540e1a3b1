"""The rows of the log, predictions and labels: as records in a spool, and as frames for their tables.

A row gives back the bytes of its record, so that it can be checked against the commit that sealed them: no field is lost on
the way, and there is one way to encode each. Members stand in the order of the struct, the fields of a row of features in
that of their names, and of these the null ones are left out, so that a later input schema encodes an old row as before.
"""

from typing import Any, Literal

import msgspec

from lake.log.commits import CommitRecord
from lake.table_names import LABELS, PREDICTIONS

MAXIMUM_RAW_BYTES = 4096

Purpose = Literal["answer", "shadow"]
Outcome = Literal["answered", "refused", "failed", "inactive"]


class PredictionRecord(msgspec.Struct, array_like=True, tag=PREDICTIONS, kw_only=True, gc=False):
    """One row of one request, as one arm computed it.

    `assigned_release_seq` is the release that the request was handed to by its key, where that failed and another was asked.

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
    record_fields: int = 29
    trace_id: str | None = None
    assigned_release_seq: int | None = None


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


def column_of(attribute: str) -> str:
    """The column that holds a field of a record: a moment's is of the type of moments, and named so."""
    return f"{attribute[:-3]}_utc" if attribute.endswith("_at_us") or attribute == "event_time_us" else attribute
