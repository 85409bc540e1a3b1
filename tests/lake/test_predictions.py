"""Records of the log become the rows of their tables, complete and typed; labels can be corrected."""

from datetime import date, datetime, timezone

import msgspec
import polars as pl
import pytest

from lake.decoder import Decoder, epoch_us
from lake.errors import SchemaMismatch
from lake.filing import filing_time
from lake.input_schema import Field
from lake.log.records import (
    LabelRecord,
    PredictionRecord,
    decode_record,
    encode_record,
)
from lake.tables import conform, dtype_of, labels_schema, predictions_schema
from lake.times import utc
from tests.lake.rows import rows_of
from tests.scenario import label, parcel, parcel_schema, prediction, records_body


def through_a_spool(record: PredictionRecord | LabelRecord) -> PredictionRecord | LabelRecord:
    """The record as a shipper reads it."""
    read: PredictionRecord | LabelRecord = decode_record(encode_record(record))
    return read


def frame_of(*records: PredictionRecord) -> pl.DataFrame:
    """The rows of these records, read from the spool `s`, where they have the numbers 1, 2, ..."""
    return rows_of(records, parcel_schema())


def test_a_record_is_read_as_what_it_was_written_as() -> None:
    assert isinstance(through_a_spool(prediction(1)), PredictionRecord)
    assert isinstance(through_a_spool(label(1)), LabelRecord)
    assert through_a_spool(label(1)) == label(1)


def test_a_record_of_a_later_version_is_read_without_what_is_new_in_it() -> None:
    later = msgspec.msgpack.decode(encode_record(label(1)))

    assert decode_record(msgspec.msgpack.encode([*later, "new"])) == label(1)


def test_a_prediction_is_one_row_with_every_column_of_its_table() -> None:
    frame = frame_of(
        prediction(3), prediction(4, arm=None, role=None, features=None, scores=None, answer=None, raw=b"{", status=422)
    )

    assert frame.schema == predictions_schema(parcel_schema())
    first, refused = frame.rows(named=True)
    assert (first["request_id"], first["row"], first["arm"]) == ("00000000-0000-7000-8000-000000000003", 0, "champion")
    assert first["event_time_utc"] == datetime(2013, 7, 1, 3, tzinfo=timezone.utc)
    assert first["event_date"] == date(2013, 7, 1)
    assert (first["scores"], first["latency_us"], first["spool_id"], first["seq"]) == ([0.25], 900, "s", 1)
    assert (refused["features"], refused["scores"], refused["raw"], refused["arm"]) == (None, None, b"{", None)


def test_every_field_of_a_row_arrives_with_its_type_and_its_nulls() -> None:
    [full, bare] = (
        Decoder(parcel_schema()).records(records_body(parcel(), parcel(carrier=None, distance_km=None, stops=None))).records
    )

    features = frame_of(prediction(1, features=full), prediction(2, features=bare))["features"]

    assert features.dtype == pl.Struct({field.name: dtype_of(field) for field in parcel_schema().fields})
    assert features.to_list() == [
        {**parcel(), "sent_at": datetime(2013, 7, 1, 9, 30, tzinfo=timezone.utc)},
        {**parcel(carrier=None, distance_km=None, stops=None), "sent_at": datetime(2013, 7, 1, 9, 30, tzinfo=timezone.utc)},
    ]


@pytest.mark.parametrize(
    "scores",
    [
        [[0.25], None, [0.75]],
        [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], None],
        [[0.1, 0.9], [0.2, 0.3, 0.5], None],
        [[], [0.5], None],
        [[], None],
        [None, None],
    ],
)
def test_scores_of_any_length_arrive_as_they_were(scores: list[list[float] | None]) -> None:
    frame = frame_of(*(prediction(number, scores=one, answer=None) for number, one in enumerate(scores)))

    assert frame["scores"].to_list() == scores
    assert frame["answer"].to_list() == [None] * len(scores)


def test_a_row_that_was_logged_before_a_field_was_added_has_null_in_it() -> None:
    grown = parcel_schema(fields=(*parcel_schema().fields, Field(name="fragile", type="boolean", nullable=True)))
    record = through_a_spool(prediction(1))
    assert isinstance(record, PredictionRecord)

    [features] = rows_of([record], grown)["features"].to_list()

    assert features["fragile"] is None
    assert features["weight_kg"] == 12.5


@pytest.mark.parametrize(
    ("event_time", "event_date"),
    [
        ("2026-03-01T12:00:00Z", date(2026, 3, 1)),
        ("2026-03-11T12:00:00Z", date(2026, 3, 11)),
        ("2026-03-11T12:00:00.000001Z", date(2026, 3, 6)),
        ("2026-03-03T12:00:00Z", date(2026, 3, 3)),
        ("2026-02-28T12:00:00Z", date(2026, 3, 6)),
        ("0001-01-01T00:00:00Z", date(2026, 3, 6)),
        ("9999-12-31T23:59:59Z", date(2026, 3, 6)),
    ],
)
def test_a_row_far_from_its_arrival_is_filed_under_that_and_keeps_its_own_time(event_time: str, event_date: date) -> None:
    """It arrived at noon of 6 March, and may be five days off."""
    schema = parcel_schema(event_days_before=5, event_days_after=5)
    arrived, happened = utc("2026-03-06T12:00:00Z"), utc(event_time)
    record = prediction(1, event_time_us=epoch_us(happened), received_at_us=epoch_us(arrived), features=None)

    frame = rows_of([record], schema)

    assert frame.select("event_date", "event_time_utc").row(0) == (event_date, happened)
    assert frame.select(filing_time()).item() == (happened if happened.date() == event_date else arrived)


def test_a_label_is_one_row_with_every_column_of_its_table() -> None:
    by_entity = label(2, request_id=None, row=None, entity_key_hash="2" * 32, event_time_us=1_372_640_400_000_000)
    frame = rows_of([label(1), by_entity], parcel_schema(), first_seq=7)

    assert frame.schema == labels_schema(parcel_schema())
    assert frame["label"].to_list() == [1.0, 0.0]
    assert frame["event_time_utc"].to_list() == [None, datetime(2013, 7, 1, 1, tzinfo=timezone.utc)]
    assert frame["seq"].to_list() == [7, 8]


def test_a_class_is_a_label_by_its_name() -> None:
    schema = parcel_schema(task="multiclass", classes=("early", "late"))

    assert rows_of([label(1, label="late")], schema)["label"].to_list() == ["late"]


def test_a_frame_that_does_not_fit_its_table_is_refused_with_every_column_that_is_off() -> None:
    schema = pl.Schema({"a": pl.Int64(), "b": pl.String(), "c": pl.Float64()})

    with pytest.raises(SchemaMismatch) as refused:
        conform(pl.DataFrame({"a": [1.0], "c": [1.0], "d": [1]}), schema, "log")
    assert str(refused.value) == (
        "Rows for table 'log' do not fit its schema: column 'a' is Float64, expected Int64; "
        "column 'b' is missing, expected String; column 'd' is not expected"
    )


def test_a_frame_that_fits_gets_the_order_of_its_table() -> None:
    schema = pl.Schema({"a": pl.Int64(), "b": pl.String()})

    assert conform(pl.DataFrame({"b": ["x"], "a": [1]}), schema, "log").columns == ["a", "b"]
