"""A row of a table gives back the bytes of the record that it was made of, whatever was logged, by whichever version."""

import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.decoder import Decoder
from lake.delta import Table
from lake.input_schema import Field, InputSchema
from lake.log.chain import Chain, ChainHead
from lake.log.columns import kind_of
from lake.log.commit_rows import commit_records, commits_frame
from lake.log.commits import CommitRecord
from lake.log.log_key import LogKey
from lake.log.record_rows import encoded_rows
from lake.log.records import LabelRecord, PredictionRecord, decode_record, encode_record
from lake.tables import PREDICTIONS
from tests.lake.rows import rows_of
from tests.scenario import USE_CASE, label, parcel, parcel_schema, prediction, records_body

INT64 = st.integers(-(2**63), 2**63 - 1)
MOMENTS_US = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
MOMENTS = st.datetimes(timezones=st.just(timezone.utc)) | st.builds(
    lambda moment, hours: moment.replace(tzinfo=timezone(timedelta(hours=hours))),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),  # noqa: DTZ001 - the zone is drawn beside it
    st.integers(-12, 14),
)
TEXT = st.text(max_size=20)
SCORES = st.none() | st.lists(st.floats(), max_size=4)
GROWN = parcel_schema(fields=(Field(name="age_days", type="number", nullable=True), *reversed(parcel_schema().fields)), version=2)


def parcels_of(schema: InputSchema, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Decoded rows of an input schema, with anything in them that it allows, and more."""
    return st.builds(
        Decoder(schema).record_type,
        parcel_id=TEXT,
        sent_at=MOMENTS,
        depot=st.sampled_from(["north", "south", "harbour"]),
        carrier=st.none() | TEXT,
        weight_kg=st.floats(0, 1000),
        distance_km=st.none() | st.floats(allow_nan=False),
        stops=st.none() | INT64,
        express=st.booleans(),
        **more,
    )


PARCELS = parcels_of(parcel_schema()) | parcels_of(GROWN, age_days=st.none() | st.floats())
PREDICTED = st.builds(
    PredictionRecord,
    use_case=st.just(USE_CASE),
    request_id=TEXT,
    row=st.integers(0, 10_000),
    event_time_us=MOMENTS_US,
    received_at_us=MOMENTS_US,
    outcome=st.sampled_from(["answered", "refused", "failed", "inactive"]),
    status=st.integers(100, 599),
    parameters_version=st.integers(0, 2**62),
    latency_us=INT64,
    purpose=st.sampled_from(["answer", "shadow"]),
    attempts=st.integers(0, 5),
    arm=st.none() | TEXT,
    client_request_id=st.none() | TEXT,
    role=st.none() | TEXT,
    release_seq=st.none() | INT64,
    package_digest=st.none() | TEXT,
    engine=st.none() | TEXT,
    rule=st.none() | TEXT,
    client_id=st.none() | TEXT,
    routing_key_hash=st.none() | TEXT,
    entity_key_hash=st.none() | TEXT,
    features=st.none() | PARCELS,
    raw=st.none() | st.binary(max_size=50),
    scores=SCORES,
    answer=SCORES,
    upstream_latency_us=st.none() | INT64,
    trace_id=st.none() | TEXT,
    assigned_release_seq=st.none() | INT64,
)


def labelled(truth: st.SearchStrategy[Any]) -> st.SearchStrategy[LabelRecord]:
    """Labels of a use case whose truth is this."""
    return st.builds(
        LabelRecord,
        use_case=st.just(USE_CASE),
        request_id=st.none() | TEXT,
        row=st.none() | st.integers(0, 10_000),
        entity_key_hash=st.none() | TEXT,
        event_time_us=st.none() | MOMENTS_US,
        label=truth,
        observed_at_us=st.none() | MOMENTS_US,
        received_at_us=MOMENTS_US,
        client_id=st.none() | TEXT,
    )


def through_delta(encoded: Sequence[bytes], schema: InputSchema) -> list[bytes]:
    """The records that the rows give back which these became in a Delta table."""
    table = kind_of(encoded[0]).table
    with tempfile.TemporaryDirectory() as folder:
        stored = Table(folder, USE_CASE, table)
        stored.append_once(rows_of(encoded, schema), "s")
        return list(encoded_rows(stored.scan().sort("seq").collect(), table, USE_CASE))


@settings(max_examples=40, deadline=None)
@given(st.lists(PREDICTED, min_size=1, max_size=12))
def test_any_predictions_come_back_from_their_table_as_the_bytes_that_were_logged(records: list[PredictionRecord]) -> None:
    encoded = [encode_record(record) for record in records]

    assert through_delta(encoded, GROWN) == encoded


@settings(max_examples=20, deadline=None)
@given(st.lists(labelled(st.floats()), min_size=1, max_size=12) | st.lists(labelled(TEXT), min_size=1, max_size=12))
def test_any_labels_come_back_from_their_table_as_the_bytes_that_were_logged(records: list[LabelRecord]) -> None:
    schema = parcel_schema(task="multiclass" if isinstance(records[0].label, str) else "regression", classes=("a", "b"))
    encoded = [encode_record(record) for record in records]

    assert through_delta(encoded, schema) == encoded


def frame_of(record: PredictionRecord) -> pl.DataFrame:
    """The row of a record, as the shipper makes it."""
    return rows_of([record], parcel_schema())


def test_rows_of_before_a_field_was_added_come_back_as_they_were_logged(tmp_path: Path) -> None:
    """Old and new rows in one table, in which the schema grew between them."""
    old, new = (
        encode_record(prediction(number, features=Decoder(schema).records(records_body(row)).records[0]))
        for number, schema, row in ((1, parcel_schema(), parcel()), (2, GROWN, parcel(age_days=1.0)))
    )
    table = Table(str(tmp_path), USE_CASE, PREDICTIONS)
    for seq, encoded, schema in ((1, old, parcel_schema()), (2, new, GROWN)):
        table.append_once(rows_of([encoded], schema, seq), "s")

    assert list(encoded_rows(table.scan().sort("seq").collect(), PREDICTIONS, USE_CASE)) == [old, new]


def before_traces(record: PredictionRecord) -> bytes:
    """A record as it was written before a row could say to which trace it belongs."""
    members = msgspec.msgpack.decode(encode_record(msgspec.structs.replace(record, record_fields=27)))
    return msgspec.msgpack.encode(members[:28])


def test_rows_of_before_traces_were_logged_come_back_as_they_were_logged(tmp_path: Path) -> None:
    """From a table that has no such column yet, and from one that has."""
    old, new = before_traces(prediction(1)), encode_record(prediction(2, trace_id="4bf92f3577b34da6a3ce929d0e0e4736"))
    assert getattr(decode_record(old), "trace_id", "") is None
    table = Table(str(tmp_path), USE_CASE, PREDICTIONS)
    table.append_once(rows_of([old], parcel_schema(), 1), "s")
    stored = table.scan().collect()

    assert stored["trace_id"].to_list() == [None]
    assert list(encoded_rows(stored.drop("trace_id"), PREDICTIONS, USE_CASE)) == [old]
    table.append_once(rows_of([new], parcel_schema(), 2), "s")
    assert list(encoded_rows(table.scan().sort("seq").collect(), PREDICTIONS, USE_CASE)) == [old, new]


def test_a_row_with_every_field_null_is_told_from_one_that_could_not_be_decoded() -> None:
    schema = InputSchema(
        use_case=USE_CASE, task="binary", label="late", fields=(Field(name="age", type="number", nullable=True),)
    )
    encoded = [encode_record(prediction(1, features=features)) for features in ({}, None, {"age": 1.0})]

    assert through_delta(encoded, schema) == encoded


def test_a_record_of_a_version_with_fewer_fields_comes_back_without_those_that_were_added() -> None:
    """What today's version will be to the next: its rows are read with a column more, and give the bytes of today."""
    [row] = encoded_rows(frame_of(prediction(1, record_fields=20)), PREDICTIONS, USE_CASE)

    assert msgspec.msgpack.decode(row) == msgspec.msgpack.decode(encode_record(prediction(1)))[:21]


@pytest.mark.parametrize("kind", [PredictionRecord, LabelRecord])
def test_a_record_says_how_many_fields_it_has(kind: type[PredictionRecord] | type[LabelRecord]) -> None:
    """Whoever adds a field raises the number: else the rows of before could not be told from those of after."""
    one = prediction(1) if kind is PredictionRecord else label(1)

    assert one.record_fields == len(kind.__struct_fields__)


def test_what_changes_in_a_row_changes_its_bytes() -> None:
    frame = frame_of(prediction(1))
    [before] = encoded_rows(frame, PREDICTIONS, USE_CASE)

    for name, dtype in frame.schema.items():
        if name in ("spool_id", "seq", "event_date"):
            continue  # the place of a row, which is checked against the commit that names it
        edited = frame.with_columns(_edited(name, dtype))
        assert list(encoded_rows(edited, PREDICTIONS, USE_CASE)) != [before], name


def _edited(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    match dtype:
        case pl.Int64():
            return column.fill_null(0) + 1
        case pl.Datetime():
            return column + pl.duration(microseconds=1)
        case pl.List():
            return pl.lit([0.1]).alias(name)
        case pl.Binary():
            return pl.lit(b"x").alias(name)
        case pl.Struct():
            return column.struct.with_fields(pl.lit(0.5).alias("weight_kg"))
        case _:
            return (column.fill_null("") + "x").alias(name)


def test_commits_come_back_from_their_table_as_they_were_logged(tmp_path: Path) -> None:
    chain = Chain(tmp_path, "s", ChainHead(), LogKey.read_or_make(tmp_path / "keys"))
    encoded = []
    for number in range(3):
        sealed = chain.seal([encode_record(prediction(number)), encode_record(label(number)), b"?"], 4 * number + 1)
        chain.advance(sealed)
        encoded.append(sealed.encoded)
    records = [decode_record(one) for one in encoded]
    table = Table(str(tmp_path), USE_CASE, "commits")
    table.append_once(commits_frame([one for one in records if isinstance(one, CommitRecord)], [4, 8, 12]), "s", ["commit_date"])

    rows = table.scan().sort("seq").collect()
    assert [encode_record(one) for one in commit_records(rows)] == [encode_record(one) for one in records]
    assert [record.commit.number for record in commit_records(rows)] == [1, 2, 3]
    assert rows["seq"].to_list() == [4, 8, 12]
