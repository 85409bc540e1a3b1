"""Whether bytes that nobody could decode are about an entity: by its hash, or by all values of its key, as words."""

from typing import Any

import msgspec
import pytest

from lake.documents import DocumentStore
from lake.errors import InvalidInput, SettingError
from lake.home import Home
from lake.input_schema import Field, InputSchema
from lake.log.entity import NamedEntity, read_entity
from lake.log.mention import Mention
from lake.log.privacy import Privacy, Redactor
from lake.log.records import encode_record
from tests.scenario import parcel_schema, prediction

PRIVACY = Privacy(bytes(range(32)))
FIELDS = (
    Field(name="flight", type="integer", minimum=1, maximum=9999),
    Field(name="gate", type="category", nullable=True),
    Field(name="fee", type="number"),
    Field(name="own", type="boolean"),
    Field(name="sent_at", type="timestamp"),
)
FLIGHT = {"flight": 15, "gate": "é 4", "fee": 2.0, "own": True}


def schema(**changes: Any) -> InputSchema:
    """A use case whose entity has a value of every type."""
    return parcel_schema(**{"fields": FIELDS, "entity_key": ("flight", "gate", "fee", "own"), **changes})


def named(of: InputSchema | None = None, **entity: Any) -> NamedEntity:
    """The entity, as the command line names it."""
    return read_entity(of or schema(), PRIVACY, msgspec.json.encode({**FLIGHT, **entity}).decode())


@pytest.mark.parametrize(
    ("body", "mentioned"),
    [
        ('{"flight": 15, "gate": "é 4", "fee": 2.0, "own": true}', True),
        ('{"own":true,"fee":2,"gate":"\\u00e9 4","flight":15', True),
        ('{"inputs": [{"name": "flight", "data": [3, 15]}, {"data": ["é 4"]}, {"data": [2]}, {"data": [true]}]}', True),
        ("15;é 4;2.0;true", True),
        ('{"flight": 150, "gate": "é 4", "fee": 2.0, "own": true}', False),
        ('{"flight": 15, "gate": "é 41", "fee": 2.0, "own": true}', False),
        ('{"flight": 15, "gate": "é 4", "fee": 2.5, "own": true}', False),
        ('{"flight": 15, "gate": "é 4", "fee": 2.0, "own": false}', False),
        ('{"flight": 15, "fee": 2.0, "own": true}', False),
        ("", False),
    ],
)
def test_a_body_mentions_an_entity_if_it_has_every_value_as_a_word(body: str, *, mentioned: bool) -> None:
    assert Mention(named()).has_values(body.encode()) is mentioned
    assert Mention(named()).is_in(b"\xff\xc1" + body.encode()) is mentioned


def test_a_value_that_is_null_or_empty_is_not_looked_for() -> None:
    assert Mention(named(gate=None)).has_values(b"15 2.0 true")
    assert Mention(named(gate="")).has_values(b"15 2.0 true")
    only = read_entity(parcel_schema(), PRIVACY, '{"parcel_id": ""}')
    assert not Mention(only).has_values(b"anything"), "an entity without a value is mentioned by nothing"


@pytest.mark.parametrize("part", [slice(0, None), slice(0, 400), slice(60, None)])
def test_what_is_left_of_a_record_mentions_its_entity(part: slice) -> None:
    """As a crash leaves it, also where the hash is lost; whatever byte stands before a text tells its length."""
    text = "P-" + "1" * 46  # in msgpack its length is the byte of the digit 0
    of = parcel_schema()
    entity = read_entity(of, PRIVACY, msgspec.json.encode({"parcel_id": text}).decode())
    features = {**msgspec.to_builtins(prediction(1).features), "parcel_id": text}
    record = encode_record(prediction(1, features=features, entity_key_hash=entity.key_hash))[part]

    assert Mention(entity).is_in(record)
    assert not Mention(read_entity(of, PRIVACY, '{"parcel_id": "P-2"}')).is_in(record)


def test_an_entity_is_hashed_as_a_proxy_hashes_it(home: Home, store: DocumentStore) -> None:
    privacy, of = Privacy.open(home.keys, store), parcel_schema()
    entity = read_entity(of, privacy, '{"parcel_id": "P-1"}')
    assert entity.key_hash == Redactor(of, privacy).entity_hash(prediction(1).features)


def test_a_hashed_field_is_kept_as_its_hash() -> None:
    hashed = tuple(msgspec.structs.replace(field, sensitive=field.name == "gate") for field in FIELDS)
    entity = named(schema(fields=hashed))
    assert entity.values["gate"] == "é 4"
    assert entity.kept == {**FLIGHT, "gate": PRIVACY.value_hash("late_parcel", "gate", "é 4")}


def test_every_problem_of_an_entity_is_told_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_entity(schema(), PRIVACY, '{"flight": 0, "fee": "2", "door": 1}')
    assert [problem.path for problem in refused.value.problems] == ["entity", "entity.flight", "entity.fee"]


def test_a_use_case_without_entities_has_none_to_name() -> None:
    with pytest.raises(SettingError, match="expected fields that say what a row is about"):
        read_entity(schema(entity_key=()), PRIVACY, "{}")
