"""What the decoder accepts, and how it names what it refuses: by both interfaces, under the same rules."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.columns import ColumnRecords, Columns
from lake.decoder import MAXIMUM_ROWS, Decoder, Rows, event_times_us
from lake.errors import InvalidInput, Problem
from lake.input_schema import Field
from lake.log.records import encode_record
from tests.protocol import JSON_LENGTH, binary_body
from tests.scenario import parcel, parcel_schema, prediction, records_body, tensors_body, without

DECODER = Decoder(parcel_schema())


def problems_of(body: bytes, *, tensors: bool = False) -> dict[str, tuple[str, str]]:
    """What is refused, by path: what was found, what was expected."""
    with pytest.raises(InvalidInput) as refused:
        (DECODER.tensors if tensors else DECODER.records)(body)
    assert refused.value.problems, "a refusal names at least one problem"
    return {problem.path: (problem.found, problem.expected) for problem in refused.value.problems}


def test_a_valid_row_becomes_a_typed_record() -> None:
    rows = DECODER.records(records_body(parcel(), id="order 7"))

    [record] = rows.records
    assert rows.client_request_id == "order 7"
    assert (record.depot, record.weight_kg, record.stops, record.express) == ("north", 12.5, 3, False)
    assert record.sent_at == datetime(2013, 7, 1, 9, 30, tzinfo=timezone.utc)


def test_a_nullable_field_may_be_null_or_left_out() -> None:
    left_out = without(parcel(), "carrier", "distance_km", "stops")
    nulled = parcel(carrier=None, distance_km=None, stops=None)

    assert DECODER.records(records_body(left_out)).records == DECODER.records(records_body(nulled)).records


def test_an_integer_is_a_number_too() -> None:
    [record] = DECODER.records(records_body(parcel(weight_kg=12))).records

    assert record.weight_kg == 12.0
    assert isinstance(record.weight_kg, float)


def test_an_unknown_value_of_an_open_category_is_accepted() -> None:
    assert DECODER.records(records_body(parcel(carrier="drone"))).records[0].carrier == "drone"


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        ({"weight_kg": "12.5"}, "'12.5'", "a number within [0, 1000] (kg)"),
        ({"weight_kg": True}, "true", "a number within [0, 1000] (kg)"),
        ({"weight_kg": None}, "null", "a number within [0, 1000] (kg)"),
        ({"weight_kg": -0.5}, "-0.5", "a number within [0, 1000] (kg)"),
        ({"weight_kg": 1000.5}, "1000.5", "a number within [0, 1000] (kg)"),
        ({"stops": 2.5}, "2.5", "an integer within [0, 50], or null"),
        ({"stops": 51}, "51", "an integer within [0, 50], or null"),
        ({"depot": "west"}, "'west'", "one of 'north', 'south', 'harbour'"),
        ({"carrier": 3}, "3", "text of at most 256 characters, or null"),
        ({"carrier": "x" * 257}, "'" + "x" * 76 + "...", "text of at most 256 characters, or null"),
        ({"express": 1}, "1", "true or false"),
        ({"express": "no"}, "'no'", "true or false"),
        ({"sent_at": "2013-07-01T09:30:00"}, "'2013-07-01T09:30:00'", "a time with its offset, as 2013-07-01T09:30:00Z"),
        ({"sent_at": 1372671000}, "1372671000", "a time with its offset, as 2013-07-01T09:30:00Z"),
        ({"distance_km": []}, "[]", "a number (km), or null"),
    ],
)
def test_a_wrong_value_is_named_with_its_path_in_both_interfaces(change: dict[str, Any], found: str, expected: str) -> None:
    [name] = change
    rows = (parcel(), parcel(**change))
    position = parcel_schema().names.index(name)

    assert problems_of(records_body(*rows)) == {f"records[1].{name}": (found, expected)}
    assert problems_of(tensors_body(*rows), tensors=True) == {f"inputs[{position}].data[1]": (found, expected)}


def test_every_problem_of_a_body_is_reported_at_once() -> None:
    body = records_body(
        parcel(weight_kg="heavy", stops=99, colour="red"), without(parcel(), "depot"), ["not", "an", "object"], id=7, model="x"
    )

    assert list(problems_of(body)) == [
        "model",
        "id",
        "records[0].weight_kg",
        "records[0].stops",
        "records[0].colour",
        "records[1].depot",
        "records[2]",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"records": 3}',
        b'{"rows": []}',
        b'{"records": [NaN]}',
        b'{"records": [{"depot": "\xff"}]}',
        b"\xff\xfe",
        b'{"records": ' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_request_is_refused_as_a_whole(body: bytes) -> None:
    assert "body" in problems_of(body)


@pytest.mark.parametrize("rows", [0, 4])
def test_the_number_of_rows_is_limited(rows: int) -> None:
    decoder = Decoder(parcel_schema(), maximum_rows=3)

    with pytest.raises(InvalidInput, match=f"records: found {rows} rows, expected 1 to 3 rows"):
        decoder.records(records_body(*[parcel()] * rows))
    with pytest.raises(InvalidInput, match=f"found {rows} rows, expected 1 to 3 rows"):
        decoder.tensors(tensors_body(*[parcel()] * rows) if rows else tensor(shape=[0], data=[]))


def tensor(**changes: Any) -> bytes:
    """A request with one tensor, of the weight, and the valid others."""
    request = msgspec.json.decode(tensors_body(parcel()))
    weight = next(one for one in request["inputs"] if one["name"] == "weight_kg")
    request["inputs"].remove(weight)
    return msgspec.json.encode({**request, "inputs": [{**weight, **changes}, *request["inputs"]]})


@pytest.mark.parametrize(
    ("change", "path", "found"),
    [
        ({"name": "mass_kg"}, "inputs[0].name", "'mass_kg'"),
        ({"name": "express", "datatype": "BOOL", "data": [True]}, "inputs[7].name", "'express' again"),
        ({"datatype": "BYTES"}, "inputs[0].datatype", "'BYTES'"),
        ({"shape": [1, 2]}, "inputs[0].shape", "[1, 2]"),
        ({"data": [1.0, 2.0]}, "inputs[0].data", "2 values"),
        ({"data": []}, "inputs[0].data", "0 values"),
        ({"data": 1.0}, "inputs[0].data", "1.0"),
        ({"data": [[1.0]]}, "inputs[0].data[0]", "[1.0]"),
        ({"shape": []}, "inputs[0].shape", "0 rows"),
        ({"shape": [-1]}, "inputs[0].shape", "-1 rows"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_with_its_path(change: dict[str, Any], path: str, found: str) -> None:
    assert problems_of(tensor(**change), tensors=True)[path][0] == found


@pytest.mark.parametrize("raw", [b"[1e999]", b"[-1e999]", b'["\xff"]', b'["\\ud800"]', b"[" * 900 + b"]" * 900])
def test_a_tensor_with_values_that_are_not_json_is_refused(raw: bytes) -> None:
    body = tensor(data=[0]).replace(b'"data":[0]', b'"data":' + raw)

    assert raw in body
    assert problems_of(body, tensors=True)


def test_a_required_field_without_its_tensor_is_named() -> None:
    found = problems_of(tensors_body(without(parcel(), "depot", "carrier")), tensors=True)

    assert found == {"inputs": ("no input 'depot'", "depot: one of 'north', 'south', 'harbour'")}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"inputs": []}', b'{"inputs": 1}', b'{"outputs": []}'])
def test_a_body_that_is_no_inference_request_is_refused(body: bytes) -> None:
    assert list(problems_of(body, tensors=True)) == ["body"]


def test_a_column_may_have_the_shape_of_a_matrix_with_one_column() -> None:
    flat = DECODER.tensors(tensors_body(parcel())).records
    request = msgspec.json.decode(tensors_body(parcel()))
    for one in request["inputs"]:
        one["shape"] = [1, 1]

    assert list(DECODER.tensors(msgspec.json.encode(request)).records) == list(flat)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "parcel_id": st.text(max_size=20),
            "sent_at": st.datetimes(timezones=st.just(timezone.utc)).map(datetime.isoformat),
            "depot": st.sampled_from(["north", "south", "harbour"]),
            "carrier": st.none() | st.text(max_size=20),
            "weight_kg": st.floats(0, 1000) | st.integers(0, 1000),
            "distance_km": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "stops": st.none() | st.integers(0, 50),
            "express": st.booleans(),
        }
    ),
    min_size=1,
    max_size=5,
)


@given(ROWS)
def test_the_same_rows_give_the_same_records_by_every_way_in(rows: list[dict[str, Any]]) -> None:
    records = DECODER.records(records_body(*rows)).records

    assert list(DECODER.tensors(tensors_body(*rows)).records) == records
    assert list(DECODER.tensors(*_in_bytes(rows)).records) == records
    assert DECODER.convert(rows) == records


TEXTS = (
    st.lists(st.text(max_size=6), min_size=1, max_size=5)
    | st.lists(st.text(max_size=3).map(lambda text: text + "\0"), min_size=1, max_size=5)
    | st.lists(st.text("ab\0", min_size=2, max_size=2), min_size=1, max_size=5)
)


@given(TEXTS)
def test_texts_in_bytes_are_what_they_are_whatever_their_lengths_and_ends(texts: list[str]) -> None:
    rows = DECODER.tensors(*_in_bytes([parcel(parcel_id=text, carrier=text) for text in texts]))

    assert [(record.parcel_id, record.carrier) for record in rows.records] == list(zip(texts, texts, strict=True))


@pytest.mark.parametrize("others", ["a", "ab"])
def test_the_first_text_that_is_not_utf8_is_named(others: str) -> None:
    body, length = _in_bytes([parcel(parcel_id=text) for text in ("x", others, "y", "z")])
    with pytest.raises(InvalidInput) as refused:
        DECODER.tensors(body.replace(b"\1\0\0\0y", b"\1\0\0\0\xff").replace(b"\1\0\0\0z", b"\1\0\0\0\xfe"), length)

    problem = Problem(path="inputs[0].data[2]", found="bytes that are not UTF-8", expected="text")
    assert refused.value.problems == (problem,)


def test_no_record_is_made_of_columns_before_one_is_looked_at() -> None:
    made: list[tuple[int, str]] = []

    def make(number: int, text: str) -> tuple[int, str]:
        made.append((number, text))
        return number, text

    columns = Columns({"text": ["a", "b"], "number": np.array([1, 2])}, rows=2)
    records = ColumnRecords(columns, ("number", "text"), make)
    assert (len(records), made) == (2, [])
    assert (records[1], list(records), made) == ((2, "b"), [(1, "a"), (2, "b")], [(1, "a"), (2, "b")])


def _in_bytes(rows: list[dict[str, Any]]) -> tuple[bytes, str]:
    body, headers = binary_body(*rows)
    return body, headers[JSON_LENGTH]


NAMES = st.sampled_from(parcel_schema().names)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | NAMES, inner, max_size=4),
    max_leaves=20,
)


def accepts(decode: Callable[[bytes], Rows], body: bytes) -> bool:
    """Whether a body is accepted; a refusal has to say why."""
    try:
        decode(body)
    except InvalidInput as refused:
        return not refused.problems
    return True


@given(st.dictionaries(NAMES, JSON).map(lambda changes: parcel(**changes)))
def test_whatever_a_row_holds_both_interfaces_accept_it_or_both_refuse_it(row: dict[str, Any]) -> None:
    assert accepts(DECODER.records, records_body(row)) == accepts(DECODER.tensors, tensors_body(row))


@given(st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_no_body_whatever_breaks_the_decoder(body: bytes) -> None:
    assert not accepts(DECODER.records, body)
    assert not accepts(DECODER.tensors, body)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1000.5, "12"])
@pytest.mark.parametrize("name", ["weight_kg", "distance_km"])
def test_plain_rows_are_held_to_the_same_rules_and_so_are_values_that_json_cannot_say(name: str, value: object) -> None:
    if (name, value) == ("distance_km", 1000.5):
        assert DECODER.convert([parcel(distance_km=value)])[0].distance_km == value
        return
    with pytest.raises(InvalidInput, match=rf"rows\[1\].{name}"):
        DECODER.convert([parcel(), parcel(**{name: value})])


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01"])
def test_a_time_that_utc_has_no_year_for_is_refused_by_every_way_in(text: str) -> None:
    assert list(problems_of(records_body(parcel(sent_at=text)))) == ["records[0].sent_at"]
    assert list(problems_of(tensors_body(parcel(sent_at=text)), tensors=True)) == ["inputs[1].data[0]"]
    with pytest.raises(InvalidInput, match=r"rows\[0\].sent_at"):
        DECODER.convert([parcel(sent_at=text)])


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:01:00+00:01"])
def test_the_first_and_the_last_time_are_ones(text: str) -> None:
    [record] = DECODER.records(records_body(parcel(sent_at=text))).records

    assert encode_record(prediction(1, features=record))


def test_an_integer_field_keeps_within_a_range_that_is_given_in_fractions() -> None:
    schema = parcel_schema(fields=(Field(name="n", type="integer", minimum=0.5, maximum=2.5),), event_time=None, entity_key=())
    decoder = Decoder(schema)

    assert [record.n for record in decoder.records(records_body({"n": 1}, {"n": 2})).records] == [1, 2]
    for outside in (0, 3):
        with pytest.raises(InvalidInput):
            decoder.records(records_body({"n": outside}))


def test_an_event_time_is_exact_to_the_microsecond_whatever_its_offset() -> None:
    rows = [parcel(sent_at="2013-07-01T09:30:00.000001Z"), parcel(sent_at="2013-07-01T05:30:00.000001-04:00")]
    elapsed = datetime(2013, 7, 1, 9, 30, tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)

    times = event_times_us(parcel_schema(), DECODER.records(records_body(*rows)).records, arrival_us=5)

    assert times == [elapsed // timedelta(microseconds=1) + 1] * 2


def test_without_a_time_field_or_a_time_the_event_time_is_the_arrival() -> None:
    schema = parcel_schema(fields=(Field(name="at", type="timestamp", nullable=True),), event_time="at", entity_key=())
    records = Decoder(schema).records(records_body({"at": None})).records

    assert event_times_us(schema, records, arrival_us=5) == [5]
    assert event_times_us(parcel_schema(event_time=None), records, arrival_us=5) == [5]


def test_the_entity_of_a_record_is_spelled_from_its_key_alone() -> None:
    rows = [parcel(), parcel(weight_kg=1), parcel(parcel_id="P-2")]

    first, same, other = (DECODER.entity(record) for record in DECODER.records(records_body(*rows)).records)

    assert first == same == "P-1"
    assert other == "P-2"
    assert Decoder(parcel_schema(entity_key=())).entity(DECODER.records(records_body(parcel())).records[0]) is None


def test_the_greatest_batch_is_decoded() -> None:
    assert len(DECODER.records(records_body(*[parcel()] * MAXIMUM_ROWS)).records) == MAXIMUM_ROWS
