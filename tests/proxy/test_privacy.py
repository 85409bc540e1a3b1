"""The model sees what a client sends; nothing that is sensitive reaches the disk."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lake.delta import Table
from lake.home import Home
from lake.log.privacy import PRIVACY_KEY, Privacy
from lake.tables import PREDICTIONS
from serving.app import create_app
from tests.proxied import NOBODY, labels, parameters, predictions, proxied, ship_rows
from tests.scenario import USE_CASE, parcel, private_schema, records_body
from tests.served import PREDICT, Approver, Client, Toy, listening, scores_of, toy

LABELS = f"/models/{USE_CASE}/labels"
SECRETS = {"parcel_id": "Ada-Lovelace-1815", "carrier": "bike-of-a-friend", "weight_kg": 71.03125}


class Private(msgspec.Struct, frozen=True):
    """A proxy before a predictor, of a use case with sensitive fields."""

    home: Home
    client: Client
    toy: Toy


@pytest.fixture
def private(home: Home) -> Iterator[Private]:
    """A champion that uses fields which the log may not keep."""
    Approver(home, private_schema()).release(toy(1))
    with listening(create_app(home, USE_CASE, "champion")) as url, proxied(home, parameters({"champion": url})) as client:
        yield Private(home, client, toy(1))


def on_disk(home: Home) -> bytes:
    """Everything in the home, spools among it."""
    return b"".join(path.read_bytes() for path in sorted(home.root.rglob("*")) if path.is_file())


def secrets() -> list[bytes]:
    """The sensitive values, as they would stand in JSON or in msgpack."""
    encoded = [msgspec.msgpack.encode(value) for value in SECRETS.values()]
    return [*encoded, *(str(value).encode() for value in SECRETS.values())]


def test_the_model_sees_the_values_and_the_log_their_hashes(private: Private) -> None:
    row = parcel(**SECRETS)
    answer = private.client.post(PREDICT, content=records_body(row))

    assert scores_of(answer.content) == [private.toy.score(row)]
    [logged] = predictions(private.home)
    privacy = Privacy.read(private.home.keys / PRIVACY_KEY)
    assert logged.features["weight_kg"] == privacy.value_hash(USE_CASE, "weight_kg", 71.03125)
    assert logged.features["depot"] == privacy.value_hash(USE_CASE, "depot", "north")
    assert "carrier" not in logged.features
    assert logged.scores == scores_of(answer.content)


def test_nothing_sensitive_is_on_disk_whatever_is_sent(private: Private) -> None:
    row: dict[str, Any] = parcel(**SECRETS)
    sent = [
        (PREDICT, records_body(row)),
        (PREDICT, records_body({**row, "stops": -1})),
        (PREDICT, records_body({**row, "carier": SECRETS["carrier"]})),
        (PREDICT, records_body(row)[:-2]),
        (LABELS, msgspec.json.encode({"entity": {"parcel_id": SECRETS["parcel_id"]}, "event_time": row["sent_at"], "label": 1})),
        (LABELS, msgspec.json.encode({"entity": {"parcel": SECRETS["parcel_id"]}, "event_time": row["sent_at"], "label": 1})),
    ]
    statuses = [private.client.post(path, content=body).status_code for path, body in sent]

    assert statuses == [200, 400, 400, 400, 202, 400]
    assert len(predictions(private.home)) == 4
    assert len(labels(private.home)) == 1
    disk = on_disk(private.home)
    assert b"harbour" in disk  # what is read is read: the schema names its depots
    assert [secret for secret in secrets() if secret in disk] == []


def test_a_refused_body_is_not_kept_where_a_field_is_sensitive(private: Private) -> None:
    private.client.post(PREDICT, content=b'{"records": [{"parcel_id": "Ada"}]}')

    [refused] = predictions(private.home)
    assert (refused.outcome, refused.status, refused.raw, refused.features) == ("refused", 400, None, None)


def test_a_label_by_entity_names_the_row_whose_entity_is_hashed(private: Private) -> None:
    row = parcel(**SECRETS)
    private.client.post(PREDICT, content=records_body(row))
    private.client.post(LABELS, json={"entity": {"parcel_id": row["parcel_id"]}, "event_time": row["sent_at"], "label": 1})

    [label], [prediction] = labels(private.home), predictions(private.home)
    assert (label.entity_key_hash, label.event_time_us) == (prediction.entity_key_hash, prediction.event_time_us)


@pytest.mark.usefixtures("private")
def test_without_the_key_of_the_lake_nothing_is_answered(home: Home) -> None:
    other = Home.at(home.root.parent / "another machine", home.lake)
    with proxied(other, parameters({"champion": NOBODY})) as client:
        answer = client.post(PREDICT, content=records_body(parcel(**SECRETS)))

    assert answer.status_code == 503
    assert "copy it from a machine that has it" in answer.json()["detail"]
    [refused] = predictions(other)
    assert (refused.raw, refused.features, refused.entity_key_hash) == (None, None, None)


def test_rows_of_hashes_are_shipped_as_all_others(private: Private) -> None:
    private.client.post(PREDICT, content=records_body(*(parcel(parcel_id=name) for name in ("Ada", "Bob", "Ada"))))
    ship_rows(private.home, 3)

    rows = Table(private.home.lake, USE_CASE, PREDICTIONS).scan().unnest("features").sort("row").collect()
    assert rows["parcel_id"].n_unique() == 2
    assert rows["parcel_id"][0] == rows["parcel_id"][2]
    assert rows["entity_key_hash"][0] == rows["entity_key_hash"][2] != rows["parcel_id"][0]
