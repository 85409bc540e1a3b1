"""Encoded records become columns, many at a time; what cannot be read is found among them, and nothing else is lost."""

from typing import Any

import msgspec
import polars as pl
import pytest

from lake.log.columns import Columns, Commits, Unreadable, kind_of
from lake.log.commit_rows import commit_records
from lake.log.commits import Commit, CommitRecord, Span, encode_commit_record
from lake.log.records import PredictionRecord, encode_record
from lake.tables import LABELS, PREDICTIONS
from tests.lake.rows import rows_of
from tests.scenario import USE_CASE, label, parcel_schema, prediction

MEMBERS = {name: position for position, name in enumerate(("table", *PredictionRecord.__struct_fields__))}


def altered(number: int, **members: Any) -> bytes:
    """An encoded prediction with other members, of whatever type."""
    record = msgspec.msgpack.decode(encode_record(prediction(number)))
    for name, value in members.items():
        record[MEMBERS[name]] = value
    return msgspec.msgpack.encode(record)


def features(number: int, **changes: Any) -> dict[str, Any]:
    """The features of a prediction, with others in their place."""
    logged: dict[str, Any] = msgspec.msgpack.decode(encode_record(prediction(number)))[MEMBERS["features"]]
    return {**logged, **changes}


def test_a_kind_is_use_case_table_and_number_of_members() -> None:
    kind = kind_of(encode_record(prediction(1)))

    assert (kind.use_case, kind.table, kind.members) == (USE_CASE, PREDICTIONS, len(MEMBERS))
    assert kind == kind_of(encode_record(prediction(2, request_id="another")))
    assert kind_of(encode_record(label(1))).table == LABELS
    assert kind != kind_of(encode_record(prediction(1, use_case="another")))


@pytest.mark.parametrize(
    "record",
    [b"\xc1", b"\x90", b"\x00", msgspec.msgpack.encode(["elsewhere", USE_CASE]), msgspec.msgpack.encode([PREDICTIONS, 1])],
)
def test_a_record_of_no_kind_is_unreadable(record: bytes) -> None:
    with pytest.raises(Unreadable):
        kind_of(record)


def test_a_record_that_lacks_members_which_every_version_had_is_unreadable() -> None:
    kind = kind_of(msgspec.msgpack.encode([PREDICTIONS, USE_CASE, "request"]))

    with pytest.raises(Unreadable):
        Columns(kind, parcel_schema())


def test_members_of_a_later_version_are_left_out_and_those_of_an_earlier_one_have_their_defaults() -> None:
    plain = msgspec.msgpack.decode(encode_record(prediction(1)))
    later, earlier = msgspec.msgpack.encode([*plain, {"new": 1}]), msgspec.msgpack.encode(plain[: MEMBERS["purpose"]])

    expected = rows_of([prediction(1)], parcel_schema())
    assert rows_of([later], parcel_schema()).equals(expected)
    [row] = rows_of([earlier], parcel_schema()).rows(named=True)
    assert (row["request_id"], row["purpose"], row["arm"], row["features"], row["scores"]) == (
        "00000000-0000-7000-8000-000000000001",
        "answer",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    "damaged",
    [
        altered(2, status="two hundred"),
        altered(2, outcome="unheard of"),
        altered(2, latency_us=2**63),
        altered(2, features=features(2)).replace(b"north", b"\xff\xff\xff\xff\xff"),
        encode_record(prediction(2))[:-1],
    ],
)
def test_one_that_cannot_be_read_is_told_from_the_others(damaged: bytes) -> None:
    whole = encode_record(prediction(1))
    columns = Columns(kind_of(whole), parcel_schema())

    frame, unreadable = columns.frame([whole, damaged, encode_record(prediction(3))], [7, 8, 9], "s")

    assert unreadable == [8]
    assert frame["seq"].to_list() == [7, 9]
    assert frame.drop("seq").equals(rows_of([prediction(1), prediction(3)], parcel_schema()).drop("seq"))


def test_among_many_the_damaged_ones_cost_only_themselves() -> None:
    """More than are decoded together, the first of them and the last."""
    records = [encode_record(prediction(1 + number % 20)) for number in range(3_000)]
    lost = (0, 1_500, 2_999)
    damaged = [altered(2, status="two hundred") if number in lost else record for number, record in enumerate(records)]

    frame, unreadable = Columns(kind_of(records[0]), parcel_schema()).frame(damaged, range(3_000), "s")

    assert unreadable == list(lost)
    assert frame.equals(rows_of(records, parcel_schema(), first_seq=0).filter(~pl.col("seq").is_in(lost)))


def commit(number: int, *spans: Span) -> bytes:
    """An encoded commit over these spans, which nobody has signed."""
    made = Commit(
        spool_id="s",
        number=number,
        first_seq=10 * number,
        count=sum(span.count for span in spans),
        root=b"root",
        previous="previous",
        committed_at_us=1_000_000 * number,
        spans=spans,
        key_id="key",
    )
    return encode_commit_record(CommitRecord(made, b"leaves"))


def test_a_commit_that_cannot_be_read_is_told_from_the_others_whose_spans_are_their_own() -> None:
    answers, labels = Span(USE_CASE, PREDICTIONS, 2), Span(USE_CASE, LABELS, 1)
    whole = [commit(1, answers), commit(2, answers, labels), commit(3), commit(4, answers)]

    no_columns_number = commit(5, Span(USE_CASE, PREDICTIONS, 2**63))
    records = [*whole[:2], whole[0][:-1], *whole[2:], no_columns_number]

    frame, unreadable = Commits().frame(records, [3, 6, 7, 8, 11, 12], "s")

    assert unreadable == [7, 12]
    assert frame.select("number", "seq").rows() == [(1, 3), (2, 6), (3, 8), (4, 11)]
    assert list(commit_records(frame)) == [msgspec.msgpack.decode(one, type=CommitRecord) for one in whole]


def test_where_none_can_be_read_there_are_no_rows() -> None:
    columns = Columns(kind_of(encode_record(prediction(1))), parcel_schema())

    frame, unreadable = columns.frame([altered(1, row=None)], [1], "s")

    assert (frame.height, unreadable) == (0, [1])
    assert frame.schema == rows_of([prediction(1)], parcel_schema()).schema


def test_a_value_that_is_not_of_its_fields_type_is_null_and_its_row_stays() -> None:
    odd = altered(2, features=features(2, stops=2**63, weight_kg="heavy", sent_at=5, fragile=True))

    [first, second, third] = rows_of([encode_record(prediction(1)), odd, encode_record(prediction(3))], parcel_schema())[
        "features"
    ]

    assert first == rows_of([prediction(1)], parcel_schema())["features"][0]
    assert third == rows_of([prediction(3)], parcel_schema())["features"][0]
    assert (second["stops"], second["weight_kg"], second["sent_at"], second["parcel_id"]) == (None, None, None, "P-2")
    assert "fragile" not in second
