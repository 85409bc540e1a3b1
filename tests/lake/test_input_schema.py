"""An input schema says what a row is, is published for proxy and shipper, and only grows."""

from typing import Any

import msgspec
import pytest

from lake.documents import DocumentStore
from lake.errors import NotFound, SettingError
from lake.input_schema import RESERVED, Field, InputSchema, find_input_schema, publish_input_schema, read_input_schema
from lake.tables import dataset_schema, feedback_schema
from tests.scenario import USE_CASE, parcel_schema


def test_a_published_schema_is_read_back_as_it_was(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())

    assert read_input_schema(store, USE_CASE) == parcel_schema()


def test_before_the_first_dataset_the_reader_is_told_what_to_do(store: DocumentStore) -> None:
    assert find_input_schema(store, USE_CASE) is None
    with pytest.raises(NotFound, match="Materialize late_parcel/dataset"):
        read_input_schema(store, USE_CASE)


def test_a_schema_may_gain_a_field_and_change_what_is_said_about_one(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())
    fields = tuple(msgspec.structs.replace(field, description="as weighed", nullable=True) for field in parcel_schema().fields)
    grown = parcel_schema(fields=(*fields, Field(name="fragile", type="boolean", nullable=True)), version=2)

    publish_input_schema(store, grown)

    assert read_input_schema(store, USE_CASE) == grown


def test_a_schema_may_not_lose_a_field(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())

    with pytest.raises(SettingError, match=r"field 'stops'.*missing.*only grows"):
        publish_input_schema(store, parcel_schema(fields=tuple(f for f in parcel_schema().fields if f.name != "stops")))
    assert read_input_schema(store, USE_CASE) == parcel_schema()


def test_a_field_may_not_change_its_type(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())
    retyped = tuple(
        msgspec.structs.replace(field, type="number") if field.name == "stops" else field for field in parcel_schema().fields
    )

    with pytest.raises(SettingError, match=r"field 'stops'.*'number', expected integer"):
        publish_input_schema(store, parcel_schema(fields=retyped))


def test_publishing_the_same_schema_again_writes_nothing(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_input_schema(store, parcel_schema())
    monkeypatch.setattr(DocumentStore, "put", lambda *_: pytest.fail("written again"))

    publish_input_schema(store, parcel_schema())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"event_time": "weight_kg"}, "event_time is 'weight_kg', expected the name of a field of type timestamp"),
        ({"event_time": "sent"}, "event_time is 'sent'"),
        ({"entity_key": ("parcel",)}, "entity_key is 'parcel', expected one of the fields"),
        ({"entity_key": ("parcel_id", "sent_at")}, "entity_key is 'sent_at', expected a field that is not a timestamp"),
        ({"fields": parcel_schema().fields * 2}, "field name is 'parcel_id', expected each name once"),
    ],
)
def test_a_schema_that_contradicts_itself_cannot_be_made(changes: dict[str, Any], complaint: str) -> None:
    facts = {**msgspec.structs.asdict(parcel_schema()), **changes}

    with pytest.raises(SettingError, match=complaint):
        InputSchema(**facts)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "weight kg"}, "letters, digits and underscores"),
        ({"name": "class"}, "letters, digits and underscores"),
        ({"name": "_hidden"}, "letters, digits and underscores"),
        ({"name": "split"}, "a name that no table has of its own"),
        ({"minimum": 2.0, "maximum": 1.0}, "a minimum that is not above the maximum"),
        ({"type": "category", "unknown_category": "refuse"}, "at least one, since any other is refused"),
    ],
)
def test_a_field_that_could_never_be_used_cannot_be_made(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        Field(**{"name": "weight_kg", "type": "number", **changes})


def test_every_column_beside_the_fields_is_reserved() -> None:
    beside = {*dataset_schema(parcel_schema()), *feedback_schema(parcel_schema())} - set(parcel_schema().names)

    assert beside <= set(RESERVED)
