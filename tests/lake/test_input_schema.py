"""An input schema says what a row is, is published for proxy and shipper, and only grows."""

from typing import Any

import msgspec
import pytest

from lake.documents import DocumentStore
from lake.errors import Conflict, NotFound, SettingError
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


def without_stops() -> tuple[Field, ...]:
    return tuple(field for field in parcel_schema().fields if field.name != "stops")


def with_stops(**changes: Any) -> tuple[Field, ...]:
    fields = parcel_schema().fields
    return tuple(msgspec.structs.replace(field, **changes) if field.name == "stops" else field for field in fields)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fields": without_stops()}, "field 'stops' is missing"),
        ({"fields": with_stops(type="number")}, "field 'stops' is of type number, was integer"),
        ({"fields": with_stops(nullable=False)}, "field 'stops' is not nullable, was"),
        ({"fields": (*parcel_schema().fields, Field(name="fragile", type="boolean"))}, "'fragile' is new and not nullable"),
        (
            {"fields": tuple(msgspec.structs.replace(field, unit="lb") for field in parcel_schema().fields)},
            "field 'weight_kg' is in lb, was in kg",
        ),
        ({"task": "regression"}, "task is 'regression', was 'binary'"),
        ({"entity_key": ("depot",)}, r"entity_key is \('depot',\), was \('parcel_id',\)"),
        ({"event_time": None}, "event_time is None, was 'sent_at'"),
    ],
)
def test_a_schema_only_grows(store: DocumentStore, changes: dict[str, Any], complaint: str) -> None:
    publish_input_schema(store, parcel_schema())

    with pytest.raises(SettingError, match=rf"{complaint}.*only grows"):
        publish_input_schema(store, parcel_schema(**changes, version=2))
    assert read_input_schema(store, USE_CASE) == parcel_schema()


def test_all_that_is_wrong_with_a_change_is_said_together(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())

    with pytest.raises(SettingError, match=r"task is 'multiclass'.*field 'stops' is missing.*'fragile' is new"):
        publish_input_schema(
            store,
            parcel_schema(task="multiclass", fields=(*without_stops(), Field(name="fragile", type="boolean")), version=2),
        )


@pytest.mark.parametrize(("classes", "fits"), [(("a", "b", "c"), True), (("b", "a"), False), (("a",), False)])
def test_classes_are_added_at_the_end(store: DocumentStore, classes: tuple[str, ...], *, fits: bool) -> None:
    """The place of a class is the place of its score in every logged row."""
    publish_input_schema(store, parcel_schema(task="multiclass", classes=("a", "b")))
    changed = parcel_schema(task="multiclass", classes=classes, version=2)

    if fits:
        publish_input_schema(store, changed)
        assert read_input_schema(store, USE_CASE) == changed
    else:
        with pytest.raises(SettingError, match=r"which do not begin with \('a', 'b'\)"):
            publish_input_schema(store, changed)


@pytest.mark.parametrize("version", [1, 2])
def test_a_change_without_a_higher_version_is_refused(store: DocumentStore, version: int) -> None:
    publish_input_schema(store, parcel_schema(version=2))

    with pytest.raises(SettingError, match=rf"version of the input schema of 'late_parcel' is {version}, expected more than 2"):
        publish_input_schema(store, parcel_schema(label="late by an hour", version=version))
    assert read_input_schema(store, USE_CASE).label == "late"


def test_of_two_who_publish_at_once_one_is_told(store: DocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_input_schema(store, parcel_schema())
    put_new = DocumentStore.put_new
    faster = [parcel_schema(label="theirs", version=2)]

    def late(self: DocumentStore, path: str, data: bytes) -> None:
        if faster:
            publish_input_schema(store, faster.pop())
        put_new(self, path, data)

    monkeypatch.setattr(DocumentStore, "put_new", late)

    with pytest.raises(Conflict, match="written by somebody else"):
        publish_input_schema(store, parcel_schema(label="ours", version=3))
    assert read_input_schema(store, USE_CASE).label == "theirs"


def test_publishing_the_same_schema_again_writes_nothing(store: DocumentStore) -> None:
    for _ in range(2):
        publish_input_schema(store, parcel_schema())

    assert store.names(f"{USE_CASE}/input_schemas") == ["00000001.json"]


def test_every_published_schema_is_kept(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())
    publish_input_schema(store, parcel_schema(label="arrived late", version=5))

    assert store.names(f"{USE_CASE}/input_schemas") == ["00000001.json", "00000002.json"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"event_time": "weight_kg"}, "event_time is 'weight_kg', expected the name of a field of type timestamp"),
        ({"event_time": "sent"}, "event_time is 'sent'"),
        ({"entity_key": ("parcel",)}, "entity_key is 'parcel', expected one of the fields"),
        ({"entity_key": ("parcel_id", "sent_at")}, "entity_key is 'sent_at', expected a field that is not a timestamp"),
        ({"event_days_before": -1}, "event_days_before is -1, expected a number of days from 0 to 36,500"),
        ({"event_days_after": 10**6}, "event_days_after is 1000000, expected"),
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
