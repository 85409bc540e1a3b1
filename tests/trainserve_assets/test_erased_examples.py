"""Which examples an erasure is about: those with every value of its entity's key, hashed or not, up to its moment."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import polars as pl
import pytest

from lake.decoder import epoch_us
from lake.input_schema import Field
from lake.log.entity import read_entity
from lake.log.erasure_requests import ErasureRequest
from lake.log.privacy import Privacy
from lake.tables import TIME
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.erasure.examples import ErasedExamples

PRIVACY = Privacy(bytes(range(32)))
NOON = datetime(2026, 3, 6, 12, tzinfo=timezone.utc)
SCHEMA = parcel_schema(
    fields=(
        Field(name="flight", type="integer"),
        Field(name="gate", type="category", nullable=True),
        Field(name="fee", type="number"),
        Field(name="own", type="boolean"),
        Field(name="sent_at", type="timestamp"),
    ),
    entity_key=("flight", "gate", "fee", "own"),
)
IT: dict[str, Any] = {"flight": 15, "gate": "B4", "fee": 2.0, "own": True, "sent_at": NOON}


def request(until: datetime = NOON, **entity: Any) -> ErasureRequest:
    """An erasure of this entity, up to a moment."""
    named = {**{name: IT[name] for name in SCHEMA.entity_key}, **entity}
    read = read_entity(SCHEMA, PRIVACY, msgspec.json.encode(named).decode())
    return ErasureRequest(
        use_case=USE_CASE,
        entity_key_hash=read.key_hash,
        value_hashes=read.value_hashes,
        until_us=epoch_us(until),
        asked_by="ada",
        why="ticket 17",
    )


def examples(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Rows that differ from the entity's own in what is given, numbered as labels."""
    types: dict[str, pl.DataType] = {
        "flight": pl.Int64(),
        "gate": pl.String(),
        "fee": pl.Float64(),
        "own": pl.Boolean(),
        "sent_at": TIME,
        "label": pl.Int64(),
    }
    return pl.LazyFrame([{**IT, "label": number, **row} for number, row in enumerate(rows)], schema=types)


def split(rows: pl.LazyFrame, *requests: ErasureRequest) -> tuple[list[int], list[int]]:
    """The labels of the rows that some erasures are about, and of all others, in order."""
    erased = ErasedExamples(SCHEMA, PRIVACY, requests)
    return erased.among(rows)["label"].to_list(), erased.without(rows)["label"].to_list()


def test_every_value_of_the_key_counts() -> None:
    rows = examples({}, {"flight": 16}, {"gate": "B5"}, {"fee": 2.5}, {"own": False}, {"gate": None}, {})
    assert split(rows, request()) == ([0, 6], [1, 2, 3, 4, 5])


def test_a_null_in_a_key_is_a_value_like_others() -> None:
    assert split(examples({}, {"gate": None}), request(gate=None)) == ([1], [0])


@pytest.mark.parametrize(
    ("sent_at", "erased"),
    [(NOON, True), (NOON + timedelta(microseconds=1), False), (NOON - timedelta(days=900), True), (None, True)],
)
def test_what_happened_later_is_not_its_own(sent_at: datetime | None, *, erased: bool) -> None:
    assert split(examples({"sent_at": sent_at}), request()) == (([0], []) if erased else ([], [0]))


def test_several_erasures_are_each_taken_up_to_their_moment() -> None:
    rows = examples({}, {"flight": 16}, {"flight": 16, "sent_at": NOON + timedelta(hours=1)}, {"flight": 17})
    assert split(rows, request(), request(NOON + timedelta(hours=2), flight=16)) == ([0, 1, 2], [3])


def test_a_hash_that_stands_for_a_value_is_known() -> None:
    kept = PRIVACY.value_hash(USE_CASE, "gate", "B4")
    assert split(examples({"gate": kept}, {"gate": PRIVACY.value_hash(USE_CASE, "gate", "B5")}), request()) == ([0], [1])


def test_without_a_request_or_the_columns_of_a_key_all_rows_stay() -> None:
    assert split(examples({}, {})) == ([], [0, 1])
    assert split(examples({}, {}).drop("gate"), request()) == ([], [0, 1])
