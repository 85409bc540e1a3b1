"""The flights as a source: counted, joined, labelled, and accepted by the very decoder that clients meet."""

import polars as pl
import pytest

from lake.decoder import Decoder
from trainserve_assets.catalog import use_case
from trainserve_assets.examples import examples, read_source
from trainserve_assets.use_case import UseCase


@pytest.fixture(scope="module")
def flights() -> UseCase:
    return use_case("flight_delay")


@pytest.fixture(scope="module")
def history(flights: UseCase) -> pl.DataFrame:
    return read_source(flights).collect()


def test_every_flight_is_there_once_and_some_never_get_a_label(history: pl.DataFrame) -> None:
    assert history.height == 336_776
    assert history["label"].null_count() == 9_430
    assert history["temperature_f"].null_count() >= 1_556


def test_a_label_is_known_only_after_the_flight(history: pl.DataFrame) -> None:
    known = history.filter(pl.col("label").is_not_null())
    assert known["labelled_at_utc"].null_count() == 0
    assert known.select((pl.col("labelled_at_utc") > pl.col("scheduled_departure_utc")).mean()).item() > 0.999
    assert known["label"].unique().sort().to_list() == [0.0, 1.0]


def test_no_feature_is_known_only_later(flights: UseCase) -> None:
    assert not set(flights.features) & {"dep_delay", "arr_delay", "air_time", "dep_time", "arr_time", "label"}


def test_every_flight_of_a_month_is_a_valid_request(flights: UseCase, history: pl.DataFrame) -> None:
    schema = flights.input_schema
    july = history.filter(pl.col("scheduled_departure_utc").dt.month() == 7).select(schema.names)
    assert len(Decoder(schema).convert(july.iter_rows(named=True))) == july.height


def test_the_split_is_by_whole_days_and_the_replayed_month_is_not_in_the_dataset(flights: UseCase) -> None:
    found = examples(flights, read_source(flights))
    days = found.group_by("split").agg(
        first=pl.col("scheduled_departure_utc").min().dt.date().cast(pl.String),
        last=pl.col("scheduled_departure_utc").max().dt.date().cast(pl.String),
    )
    ranges = {row["split"]: (row["first"], row["last"]) for row in days.iter_rows(named=True)}
    assert ranges == {"train": ("2013-01-01", "2013-05-31"), "holdout": ("2013-06-01", "2013-06-30")}
