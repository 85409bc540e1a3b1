"""What may be kept of a row: hashes with one key for one lake in the place of keys and sensitive values, or nothing."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from lake.decoder import Decoder
from lake.documents import DocumentStore
from lake.errors import SettingError, Unavailable
from lake.home import Home
from lake.input_schema import Field, InputSchema, publish_input_schema
from lake.log.privacy import PRIVACY_KEY, Privacy, Redactor
from lake.log.records import PredictionRecord, decode_record, encode_record
from tests.lake.rows import rows_of
from tests.scenario import USE_CASE, parcel, parcel_schema, prediction, private_schema, records_body

PRIVACY = Privacy(bytes(range(32)))


def kept(schema: InputSchema, row: dict[str, Any]) -> dict[str, Any]:
    """The features of a row, as they come back from a spool."""
    [record] = Decoder(schema).records(records_body(row)).records
    logged = decode_record(encode_record(prediction(1, features=Redactor(schema, PRIVACY).features(record))))
    assert isinstance(logged, PredictionRecord)
    features: dict[str, Any] = logged.features
    return features


def test_the_key_is_made_once_for_its_owner_alone(home: Home, store: DocumentStore) -> None:
    first = Privacy.open(home.keys, store)
    again = Privacy.open(home.keys, store)

    path = home.keys / PRIVACY_KEY
    assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o600, 32)
    assert first.key_hash(USE_CASE, "P-1") == again.key_hash(USE_CASE, "P-1")


def test_a_machine_with_another_key_is_told_which_one_it_needs(home: Home, store: DocumentStore, tmp_path: Path) -> None:
    fingerprint = Privacy.open(home.keys, store).fingerprint
    other = tmp_path / "other"

    with pytest.raises(SettingError, match=f"is 'not there', expected the key with the fingerprint {fingerprint}.*: copy it"):
        Privacy.open(other, store)
    assert not (other / PRIVACY_KEY).exists()

    Privacy.open(other, DocumentStore(str(tmp_path / "other lake")))
    with pytest.raises(SettingError, match=f"expected the key with the fingerprint {fingerprint}"):
        Privacy.open(other, store)


def test_a_machine_with_a_copy_of_the_key_hashes_alike(home: Home, store: DocumentStore, tmp_path: Path) -> None:
    here = Privacy.open(home.keys, store)
    other = tmp_path / "other"
    other.mkdir()
    (other / PRIVACY_KEY).touch(mode=0o600)
    (other / PRIVACY_KEY).write_bytes((home.keys / PRIVACY_KEY).read_bytes())

    assert Privacy.open(other, store).key_hash(USE_CASE, "P-1") == here.key_hash(USE_CASE, "P-1")


def test_while_the_lake_is_away_a_key_is_used_and_none_is_made(home: Home, store: DocumentStore, tmp_path: Path) -> None:
    away = DocumentStore(str(tmp_path / "away"), make=False)
    with pytest.raises(Unavailable):
        Privacy.open(home.keys, away)
    assert not (home.keys / PRIVACY_KEY).exists()

    here = Privacy.open(home.keys, store)
    assert Privacy.open(home.keys, away).fingerprint == here.fingerprint


@pytest.mark.parametrize(("data", "mode", "complaint"), [(bytes(31), 0o600, "31 bytes"), (bytes(32), 0o640, "0o640")])
def test_a_key_that_others_can_read_or_that_is_cut_is_not_used(tmp_path: Path, data: bytes, mode: int, complaint: str) -> None:
    path = tmp_path / PRIVACY_KEY
    path.write_bytes(data)
    path.chmod(mode)

    with pytest.raises(SettingError, match=complaint):
        Privacy.read(path)


def test_equal_keys_have_equal_hashes_of_one_use_case_under_one_key() -> None:
    hashed = PRIVACY.key_hash(USE_CASE, "P-1")

    assert hashed == PRIVACY.key_hash(USE_CASE, "P-1")
    assert hashed not in {PRIVACY.key_hash(USE_CASE, "P-2"), PRIVACY.key_hash("other", "P-1")}
    assert hashed != Privacy(bytes(32)).key_hash(USE_CASE, "P-1")
    assert len(hashed) == 32
    assert int(hashed, 16)


def test_equal_values_of_two_fields_have_two_hashes_and_null_has_none() -> None:
    here, there = (PRIVACY.value_hash(USE_CASE, field, "north") for field in ("depot", "carrier"))

    assert here != there
    assert PRIVACY.value_hash(USE_CASE, "depot", None) is None


def test_a_moment_has_one_hash_in_every_zone() -> None:
    moment = datetime(2013, 7, 1, 12, tzinfo=timezone.utc)
    elsewhere = moment.astimezone(timezone(timedelta(hours=2)))

    assert PRIVACY.value_hash(USE_CASE, "paid_at", moment) == PRIVACY.value_hash(USE_CASE, "paid_at", elsewhere)


def test_of_sensitive_fields_a_row_keeps_the_hash_or_nothing() -> None:
    features = kept(private_schema(), parcel(parcel_id="Ada", carrier="van", weight_kg=71.5))

    assert features["parcel_id"] == PRIVACY.value_hash(USE_CASE, "parcel_id", "Ada")
    assert features["weight_kg"] == PRIVACY.value_hash(USE_CASE, "weight_kg", 71.5)
    assert "carrier" not in features
    assert (features["stops"], features["express"]) == (3, False)


def test_a_row_without_sensitive_fields_is_kept_as_it_is() -> None:
    assert kept(parcel_schema(), parcel(parcel_id="Ada", stops=None))["parcel_id"] == "Ada"


def test_the_column_of_a_hashed_field_is_text_and_an_omitted_one_has_none() -> None:
    schema = private_schema()

    features = rows_of([prediction(1, features=kept(schema, parcel(weight_kg=71.5)))], schema).unnest("features")

    assert features.schema["weight_kg"] == features.schema["parcel_id"] == pl.String
    assert "carrier" not in features.columns
    assert features.item(0, "weight_kg") == PRIVACY.value_hash(USE_CASE, "weight_kg", 71.5)


def with_sensitive(name: str, sensitive: Any) -> dict[str, Any]:
    fields = parcel_schema().fields
    return {
        "fields": tuple(msgspec.structs.replace(one, sensitive=sensitive) if one.name == name else one for one in fields),
        "version": 2,
    }


@pytest.mark.parametrize(
    ("name", "sensitive", "complaint"),
    [("sent_at", "hash", "rows are filed under their event time"), ("parcel_id", "omit", "which rows are about one entity")],
)
def test_what_names_a_row_cannot_be_left_out(name: str, sensitive: str, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        InputSchema(**{**msgspec.structs.asdict(parcel_schema()), **with_sensitive(name, sensitive)})


@pytest.mark.parametrize(("name", "sensitive"), [("depot", "hash"), ("depot", "omit"), ("weight_kg", "omit")])
def test_a_field_can_become_sensitive(store: DocumentStore, name: str, sensitive: str) -> None:
    publish_input_schema(store, parcel_schema())
    publish_input_schema(store, parcel_schema(**with_sensitive(name, sensitive)))


def test_a_number_cannot_become_a_hash_since_its_column_is_of_numbers(store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())

    with pytest.raises(SettingError, match="field 'weight_kg' is sensitive: 'hash', was False, and a hash is another type"):
        publish_input_schema(store, parcel_schema(**with_sensitive("weight_kg", "hash")))


@pytest.mark.parametrize("sensitive", ["hidden", 1, None])
def test_sensitive_is_one_of_what_can_be_done(sensitive: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "depot", "type": "category", "sensitive": sensitive}, Field)
