"""Dataset and candidates through Dagster: repeatable to the bit, and stopped by data that is not what the schema says."""

from datetime import timedelta
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pytest

from lake.home import Home
from lake.input_schema import Field, find_input_schema
from lake.package import open_package
from lake.tables import DATASET
from tests.parcel_training import TRAINING, Platform, failures, parcel_history, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.training import read_note


def digests(platform: Platform) -> dict[str, str]:
    """The package of each candidate."""
    names = [candidate.name for candidate in platform.use_case.candidates]
    return {name: read_note(platform.lake.store, platform.use_case.name, name).package_digest for name in names}


def test_an_unchanged_dataset_is_not_written_again(platform: Platform) -> None:
    table = platform.lake.table(platform.use_case.name, DATASET)
    before = table.version()
    result = platform.run([DATASET])
    assert result.success, failures(result)
    assert table.version() == before


def test_training_again_gives_the_same_catboost_package_and_the_same_sklearn_answers(platform: Platform) -> None:
    before = digests(platform)
    result = platform.run([name for name in TRAINING if name.startswith("candidate_")])
    assert result.success, failures(result)
    after = digests(platform)

    assert after["trees"] == before["trees"]
    rows = [sample.row for sample in open_package(platform.lake.store, platform.use_case.name, before["boosting"]).samples]
    for name in ("boosting", "line"):
        first, second = (
            open_package(platform.lake.store, platform.use_case.name, one[name]).load().engine.scores(rows)
            for one in (before, after)
        )
        assert first == second


def late_and_heavy() -> pl.LazyFrame:
    """Parcels of which one is heavier than the schema allows."""
    heavy = pl.col("weight_kg") == pl.col("weight_kg").max()
    return parcel_history().with_columns(weight_kg=pl.when(heavy).then(5_000.0).otherwise("weight_kg"))


def twice() -> pl.LazyFrame:
    """Parcels of which one is told twice, with another label."""
    one = parcel_history().filter(pl.col("label").is_not_null()).head(1).with_columns(label=1 - pl.col("label"))
    return pl.concat([parcel_history(), one])


def only_on_time() -> pl.LazyFrame:
    """Parcels none of which is late."""
    return parcel_history().with_columns(label=pl.when(pl.col("label").is_not_null()).then(0.0))


def begun_late() -> pl.LazyFrame:
    """Parcels from the holdout's days only."""
    return parcel_history().filter(pl.col("sent_at") >= pl.col("sent_at").min() + timedelta(days=49))


@pytest.mark.parametrize(
    ("source", "claim", "words"),
    [
        ("late_and_heavy", "fields_hold_to_the_input_schema", "weight_kg"),
        ("twice", "no_example_is_there_twice", "rows of an example that is there before"),
        ("only_on_time", "every_split_has_rows_of_every_class", "rows of class 1"),
        ("begun_late", "every_split_has_rows_of_every_class", "rows in train"),
    ],
)
def test_bad_data_fails_its_check_and_nothing_is_trained_on_it(
    home: Home, instance: dg.DagsterInstance, source: str, claim: str, words: str
) -> None:
    use_case: Any = parcel_use_case(source=f"{__name__}:{source}")
    platform = Platform(home, instance, use_case)
    result = platform.run(TRAINING)

    assert not result.success
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert [name for name, check in checks.items() if not check.passed] == [claim]
    assert words in str(checks[claim].description)
    assert checks[claim].metadata["remedy"].value == "fix the source"
    assert [event.step_key for event in result.get_step_success_events() if "candidate" in str(event.step_key)] == []

    for name in TRAINING[1:]:
        later = platform.run([name])
        assert not later.success
        assert "does not verify: found" in failures(later)
        assert words in failures(later)
        assert "materialize late_parcel/dataset" in failures(later)


def test_a_first_input_schema_that_the_rows_do_not_hold_to_can_still_be_mended(empty: Platform) -> None:
    """Once it is published it may but grow."""
    wrong = parcel_schema(fields=(*parcel_schema().fields, Field(name="distance", type="integer")))
    too_narrow = parcel_schema(fields=tuple(narrow(field) for field in parcel_schema().fields))
    for schema in (wrong, too_narrow):
        assert not Platform(empty.home, empty.instance, parcel_use_case(input_schema=schema)).run([DATASET]).success
        assert find_input_schema(empty.lake.store, USE_CASE) is None

    empty.train()

    assert find_input_schema(empty.lake.store, USE_CASE) == parcel_schema()


GREATEST = 2**63 - 1


def numbered() -> pl.LazyFrame:
    """Parcels with a number that is as great, or as small, as such numbers are."""
    number = (pl.int_range(pl.len()) % 1000 - 500) * (GREATEST // 500)
    return parcel_history().with_columns(number=number)


def test_integers_of_any_size_are_learnt_from_sealed_and_answered(home: Home, instance: dg.DagsterInstance) -> None:
    schema = parcel_schema(fields=(*parcel_schema().fields, Field(name="number", type="integer")))
    use_case = parcel_use_case(source=f"{__name__}:numbered", input_schema=schema, features=("number", "depot", "weight_kg"))
    platform = Platform(home, instance, use_case).train()

    for digest in digests(platform).values():
        package = open_package(platform.lake.store, USE_CASE, digest)
        sealed = {sample.row[0] for sample in package.samples} - {None}
        assert {type(number) for number in sealed} == {int}
        assert max(map(abs, sealed)) > 2**62
        assert package.load().instead is None


def test_a_category_with_more_values_than_a_model_keeps_apart_is_named_with_what_to_do(
    home: Home, instance: dg.DagsterInstance
) -> None:
    features = ("parcel_id", "weight_kg")
    platform = Platform(home, instance, parcel_use_case(features=features))

    result = platform.run([DATASET, "candidate_trees"])

    assert "category 'parcel_id' of 'late_parcel' is" in failures(result)
    assert "at most 255 that occur: let the source give rare ones one name, or leave the field out" in failures(result)


def narrow(field: Field) -> Field:
    """The field, with a limit below its values where it is a weight."""
    return msgspec.structs.replace(field, maximum=1.0) if field.name == "weight_kg" else field
