"""Labels are taken for a request or for an entity and its time, are on disk when they are accepted, and refused whole."""

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest

from lake.decoder import epoch_us
from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import Field, publish_input_schema
from tests.proxied import NOBODY, key_hash, labels, parameters, predictions, proxied
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, parcel_schema, records_body
from tests.served import PREDICT, Approver, Client

LABELS = f"/models/{USE_CASE}/labels"
REQUEST_ID = "01a20afc-00df-74a9-8fe9-48895b375d54"


@pytest.fixture
def client(home: Home, approver: Approver) -> Iterator[Client]:
    """A proxy that knows the input schema; labels need no release."""
    assert approver.store.folders(USE_CASE) == ["input_schemas"]
    with proxied(home, parameters({"champion": NOBODY})) as client:
        yield client


def deliver(client: Client, *rows: object) -> Any:
    return client.post(LABELS, json={"labels": rows})


def test_a_label_for_a_request_is_on_disk_when_it_is_accepted(loop: Loop) -> None:
    request_id = loop.client.post(PREDICT, content=records_body(parcel(), parcel())).headers["trainserve-request-id"]
    answer = deliver(loop.client, {"request_id": request_id, "row": 1, "label": 1, "observed_at": "2013-07-02T10:00:00+02:00"})

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    label = labels(loop.home)[-1]
    assert (label.request_id, label.row, label.label) == (request_id, 1, 1.0)
    assert label.observed_at_us == epoch_us(datetime(2013, 7, 2, 8, tzinfo=timezone.utc))
    assert (label.entity_key_hash, label.event_time_us, label.client_id) == (None, None, None)


def test_a_label_for_an_entity_and_its_time_names_the_predictions_row(loop: Loop) -> None:
    row = parcel(parcel_id="P-99", sent_at="2013-07-03T12:00:00Z")
    request_id = loop.client.post(PREDICT, content=records_body(row)).headers["trainserve-request-id"]
    answer = deliver(loop.client, {"entity": {"parcel_id": "P-99"}, "event_time": "2013-07-03T12:00:00Z", "label": 0})

    assert answer.status_code == 202
    label = labels(loop.home)[-1]
    [prediction] = [record for record in predictions(loop.home) if record.request_id == request_id]
    assert label.entity_key_hash == prediction.entity_key_hash == key_hash(loop.home, "P-99")
    assert label.event_time_us == prediction.event_time_us
    assert (label.request_id, label.row) == (None, None)


def test_a_label_may_come_alone(client: Client, home: Home) -> None:
    answer = client.post(LABELS, json={"request_id": REQUEST_ID, "label": 1})

    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    assert [(label.request_id, label.row, label.label) for label in labels(home)] == [(REQUEST_ID, 0, 1.0)]


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ({"label": 1}, "body"),
        ({"label": 2, "request_id": REQUEST_ID}, "label"),
        ({"label": 1, "entity": {"parcel_id": "P-1"}}, "event_time"),
        ({"label": 1, "entity": {"parcel_id": 1}, "event_time": "2013-07-01T00:00:00Z"}, "entity.parcel_id"),
        ({"label": 1, "request_id": 7}, "request_id"),
        ({"request_id": REQUEST_ID}, "body"),
        ({"label": 1, "request_id": REQUEST_ID, "score": 1}, "body"),
    ],
)
def test_what_is_wrong_with_a_label_that_came_alone_is_named(
    client: Client, home: Home, label: dict[str, Any], path: str
) -> None:
    answer = client.post(LABELS, json=label)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]
    assert labels(home) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"flight": 15, "gate": "B4", "fee": 2.5, "own": True}, {}),
        ({"flight": 15, "gate": None, "fee": 2, "own": False}, {}),
        ({}, {"flight": "15"}),
        ({}, {"flight": 15.5, "fee": "2.5"}),
        ({}, {"flight": 0, "gate": "Z9", "own": 1}),
        ({}, {"flight": None}),
    ],
)
def test_the_values_of_an_entity_are_of_their_fields(
    home: Home, store: DocumentStore, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    fields = (
        Field(name="flight", type="integer", minimum=1, maximum=9999),
        Field(name="gate", type="category", categories=("B4",), unknown_category="refuse", nullable=True),
        Field(name="fee", type="number"),
        Field(name="own", type="boolean"),
        Field(name="sent_at", type="timestamp"),
    )
    key = tuple(field.name for field in fields[:4])
    publish_input_schema(store, parcel_schema(fields=fields, entity_key=key))
    entity = {"flight": 15, "gate": "B4", "fee": 2.5, "own": True} | good | bad
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = deliver(client, {"entity": entity, "event_time": "2013-07-01T00:00:00Z", "label": 1})
        row = records_body({**entity, "sent_at": "2013-07-01T00:00:00Z"})
        client.post(PREDICT, content=row)

    assert answer.status_code == (400 if bad else 202)
    if bad:
        assert [one["path"] for one in answer.json()["problems"]] == [f"labels[0].entity.{name}" for name in bad]
    else:
        [label], [prediction] = labels(home), predictions(home)
        assert label.entity_key_hash is not None
        assert label.entity_key_hash == prediction.entity_key_hash
        assert label.event_time_us == prediction.event_time_us


def test_an_entity_cannot_name_rows_that_have_no_time_of_their_own(home: Home, store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema(event_time=None))
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = deliver(client, {"entity": {"parcel_id": "P-1"}, "event_time": "2013-07-01T00:00:00Z", "label": 1})

    assert answer.status_code == 400
    assert "request_id" in answer.json()["problems"][0]["expected"]


def test_many_labels_are_kept_in_their_order(client: Client, home: Home) -> None:
    rows = [{"request_id": REQUEST_ID, "row": row, "label": row % 2} for row in range(1000)]

    assert deliver(client, *rows).json() == {"accepted": 1000}
    assert [(label.row, label.label) for label in labels(home)] == [(row["row"], row["label"]) for row in rows]


@pytest.mark.parametrize(
    ("label", "path"),
    [
        ({"label": 1}, "labels[1]"),
        (
            {"label": 1, "request_id": REQUEST_ID, "entity": {"parcel_id": "P-1"}, "event_time": "2013-07-01T00:00:00Z"},
            "labels[1]",
        ),
        ({"label": 1, "entity": {"parcel_id": "P-1"}}, "labels[1].event_time"),
        ({"label": 1, "entity": {}, "event_time": "2013-07-01T00:00:00Z"}, "labels[1].entity"),
        ({"label": 1, "entity": {"parcel": 1}, "event_time": "2013-07-01T00:00:00Z"}, "labels[1].entity"),
        ({"label": 1, "entity": {"parcel_id": "P"}, "event_time": "0001-01-01T00:00:00+14:00"}, "labels[1].event_time"),
        ({"label": 1, "request_id": REQUEST_ID, "observed_at": "9999-12-31T23:00:00-02:00"}, "labels[1].observed_at"),
        ({"label": 1, "request_id": REQUEST_ID, "event_time": "0001-01-01T00:00:00+00:01"}, "labels[1].event_time"),
        ({"label": 2, "request_id": REQUEST_ID}, "labels[1].label"),
        ({"label": 0.5, "request_id": REQUEST_ID}, "labels[1].label"),
        ({"label": "1", "request_id": REQUEST_ID}, "labels[1].label"),
        ({"label": "late", "request_id": REQUEST_ID}, "labels[1].label"),
    ],
)
def test_a_bad_label_is_named_and_none_of_its_batch_is_kept(client: Client, home: Home, label: dict[str, Any], path: str) -> None:
    answer = deliver(client, {"request_id": REQUEST_ID, "label": 1}, label)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert [problem["path"] for problem in answer.json()["problems"]] == [path]
    assert labels(home) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"labels": []}',
        b'{"labels": [1]}',
        b'{"labels": [{"request_id": "r"}]}',
        b'{"labels": [{"request_id": "r", "label": null}]}',
        b'{"labels": [{"request_id": "r", "label": true}]}',
        b'{"labels": [{"request_id": "r", "label": NaN}]}',
        b'{"labels": [{"request_id": "r", "label": 1e999}]}',
        b'{"labels": [{"request_id": "r", "label": 1, "row": -1}]}',
        b'{"labels": [{"request_id": "r", "label": 1, "row": 9223372036854775808}]}',
        b'{"labels": [{"request_id": "r", "label": 1, "row": 18446744073709551616}]}',
        b'{"labels": [{"request_id": "r", "label": 0, "label": 1}]}',
        b'{"labels": [], "labels": [{"request_id": "r", "label": 1}]}',
        b'{"request_id": "r", "label": 0, "l\\u0061bel": 1}',
        b'{"entity": {"parcel_id": "P", "parcel_id": "Q"}, "event_time": "2013-07-01T00:00:00Z", "label": 1}',
        b'{"labels": [{"request_id": "r", "label": 1, "score": 1}]}',
        b'{"labels": [{"request_id": "r", "label": 1}], "more": 1}',
        b'{"labels": [{"entity": {"parcel_id": "P"}, "event_time": "2013-07-01T00:00:00", "label": 1}]}',
        b'{"labels": [{"request_id": "' + b"r" * 65 + b'", "label": 1}]}',
        msgspec.json.encode({"labels": [{"request_id": "r", "label": 1}] * 10_001}),
        b"\xff\xfe",
        b'{"labels": ' + b"[" * 50_000,
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
def test_what_is_no_batch_of_labels_is_refused(client: Client, home: Home, body: bytes) -> None:
    answer = client.post(LABELS, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["detail"]
    assert labels(home) == []


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_the_media_type_that_a_client_names_does_not_matter(client: Client, home: Home, media_type: str | None) -> None:
    body = msgspec.json.encode({"labels": [{"request_id": REQUEST_ID, "label": 1}]})
    answer = client.post(LABELS, content=body, headers={} if media_type is None else {"content-type": media_type})

    assert answer.status_code == 202, answer.text
    assert len(labels(home)) == 1


def test_labels_of_another_use_case_are_not_found(client: Client, home: Home) -> None:
    answer = client.post("/models/other/labels", json={"labels": [{"request_id": REQUEST_ID, "label": 1}]})

    assert answer.status_code == 404
    assert labels(home) == []


@pytest.mark.parametrize(
    ("changes", "good", "bad"),
    [
        ({"task": "regression"}, [0, -12.5, 1e300], ["late", "1"]),
        ({"task": "multiclass", "classes": ("lost", "late", "in time")}, ["late", "in time"], ["early", 1, 0.0]),
    ],
)
def test_a_label_is_of_the_use_cases_task(
    home: Home, store: DocumentStore, changes: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    publish_input_schema(store, parcel_schema(**changes))
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert [deliver(client, {"request_id": REQUEST_ID, "label": label}).status_code for label in good] == [202] * len(good)
        assert [deliver(client, {"request_id": REQUEST_ID, "label": label}).status_code for label in bad] == [400] * len(bad)
    assert [label.label for label in labels(home)] == good


@pytest.mark.usefixtures("store")
def test_before_the_first_dataset_labels_are_not_taken(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = deliver(client, {"request_id": REQUEST_ID, "label": 1})

    assert answer.status_code == 503
    assert "its input schema is not in the lake yet" in answer.json()["detail"]
