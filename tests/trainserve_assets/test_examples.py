"""Labelled examples: what of the source and of feedback becomes the dataset, and in which split."""

from datetime import datetime, timezone
from typing import Any

import msgspec
import polars as pl
import pytest

from lake.errors import SchemaMismatch, SettingError
from lake.log.privacy import Privacy
from lake.tables import dataset_schema, feedback_schema
from tests.parcel_training import parcel_history, parcel_use_case
from tests.scenario import parcel_schema, private_schema
from trainserve_assets.digests import content_digest
from trainserve_assets.examples import examples, read_source

USE_CASE = parcel_use_case()


def at(day: str) -> pl.Expr:
    return pl.lit(datetime.fromisoformat(day).replace(tzinfo=timezone.utc))


def feedback(history: pl.LazyFrame) -> pl.LazyFrame:
    """The same parcels as they come back from the log."""
    logged = {"request_id": pl.lit("r"), "row": pl.lit(0, pl.Int64), "package_digest": pl.lit("p")}
    return history.filter(pl.col("label").is_not_null()).with_columns(**logged).select(feedback_schema(parcel_schema()).names())


def test_the_source_counts_until_history_until() -> None:
    rows = examples(USE_CASE, parcel_history())
    times = rows.select(pl.col("sent_at").min().alias("first"), pl.col("sent_at").max().alias("last")).row(0, named=True)
    assert times["first"].date().isoformat() == "2013-04-01"
    assert times["last"].date().isoformat() == "2013-06-02"


def test_rows_whose_label_is_not_known_are_left_out() -> None:
    whole = parcel_history().filter(pl.col("sent_at") < at("2013-06-03")).collect()
    assert whole["label"].null_count() > 0
    assert examples(USE_CASE, whole.lazy()).height == whole.height - whole["label"].null_count()


def test_splits_are_whole_days_by_time() -> None:
    rows = examples(USE_CASE, parcel_history(), feedback(parcel_history()))
    days = rows.group_by("split").agg(first=pl.col("sent_at").dt.date().min(), last=pl.col("sent_at").dt.date().max())
    assert {split: (str(first), str(last)) for split, first, last in days.rows()} == {
        "train": ("2013-04-01", "2013-05-19"),
        "holdout": ("2013-05-20", "2013-06-02"),
        "later": ("2013-06-03", "2013-06-09"),
    }


def test_what_is_older_than_train_from_is_left_out() -> None:
    later = parcel_use_case(split=msgspec.structs.replace(USE_CASE.split, train_from="2013-04-11"))
    rows = examples(later, parcel_history())
    assert rows.select(pl.col("sent_at").dt.date().min().cast(pl.String)).item() == "2013-04-11"


def test_feedback_does_not_double_what_the_source_has() -> None:
    rows = examples(USE_CASE, parcel_history(), feedback(parcel_history()))
    assert rows.select("parcel_id", "sent_at").is_unique().all()
    alone = examples(USE_CASE, parcel_history())
    assert rows.filter(pl.col("split") != "later").equals(alone)


def test_where_both_have_an_example_the_sources_label_stands() -> None:
    wrong = feedback(parcel_history().with_columns(label=1 - pl.col("label")))
    rows = examples(USE_CASE, parcel_history(), wrong)
    assert rows.filter(pl.col("split") != "later").equals(examples(USE_CASE, parcel_history()))


def test_the_order_of_the_source_does_not_matter() -> None:
    shuffled = parcel_history().collect().sample(fraction=1.0, shuffle=True, seed=7).lazy()
    assert content_digest(examples(USE_CASE, shuffled)) == content_digest(examples(USE_CASE, parcel_history()))


def test_any_changed_cell_changes_the_digest() -> None:
    rows = examples(USE_CASE, parcel_history())
    digest = content_digest(rows)
    second = pl.int_range(pl.len()) == 1
    for column, changed in {
        "weight_kg": pl.col("weight_kg") + 1e-12,
        "carrier": pl.lit(""),
        "distance_km": pl.lit(None, pl.Float64),
        "express": ~pl.col("express"),
        "label": 1 - pl.col("label"),
    }.items():
        other = rows.with_columns(pl.when(second).then(changed).otherwise(column).alias(column))
        assert not other.equals(rows), column
        assert content_digest(other) != digest, column


def test_null_the_word_null_and_no_text_have_three_digests() -> None:
    frames = [pl.DataFrame({"carrier": [value]}, schema={"carrier": pl.String}) for value in (None, "null", "")]
    assert len({content_digest(frame) for frame in frames}) == 3


def test_a_source_that_lacks_fields_is_refused_naming_each() -> None:
    with pytest.raises(SchemaMismatch, match=r"late_parcel/source.*'weight_kg' is missing.*'stops' is missing"):
        examples(USE_CASE, parcel_history().drop("weight_kg", "stops"))


def test_a_field_that_cannot_be_its_type_is_refused() -> None:
    words = pl.concat_str(pl.lit("heavy "), pl.col("weight_kg"))
    with pytest.raises(SchemaMismatch, match=r"late_parcel/source.*'weight_kg' is String, expected Float64"):
        examples(USE_CASE, parcel_history().with_columns(weight_kg=words))


def test_a_time_without_its_offset_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="'sent_at' is Datetime"):
        examples(USE_CASE, parcel_history().with_columns(pl.col("sent_at").dt.replace_time_zone(None)))


def test_what_cannot_be_misread_is_converted() -> None:
    narrow = parcel_history().with_columns(
        pl.col("stops").cast(pl.Int8),
        pl.col("label").cast(pl.Boolean),
        pl.col("depot").cast(pl.Categorical),
        pl.col("sent_at").dt.cast_time_unit("ns"),
    )
    assert examples(USE_CASE, narrow).equals(examples(USE_CASE, parcel_history()))


@pytest.mark.parametrize(
    "source", ["tests.parcel_training", "tests.parcel_training:nothing", "no.such.module:f", ":", "tests.scenario:parcel"]
)
def test_a_source_that_cannot_be_called_is_named(source: str) -> None:
    with pytest.raises(SettingError, match=f"source of 'late_parcel' is '{source}"):
        read_source(parcel_use_case(source=source))


PRIVACY = Privacy(bytes(32))
PRIVATE = parcel_use_case(input_schema=private_schema(), features=("stops", "express"), slices=(), invariances=())


def test_what_is_sensitive_and_not_used_stands_in_the_dataset_as_in_the_log() -> None:
    rows = examples(PRIVATE, parcel_history(), privacy=PRIVACY)

    clear = examples(USE_CASE, parcel_history())
    assert "carrier" not in rows.columns
    assert rows.schema == dataset_schema(private_schema())
    for name in ("parcel_id", "depot", "weight_kg"):
        hashed = {PRIVACY.value_hash(PRIVATE.name, name, value) for value in clear[name]}
        assert set(rows[name]) == hashed
    assert (
        rows.select("sent_at", "stops", "label", "split")
        .sort("sent_at")
        .equals(clear.select("sent_at", "stops", "label", "split").sort("sent_at"))
    )


def test_feedback_meets_the_source_by_the_hash_of_its_entity() -> None:
    history = parcel_history()
    known = examples(PRIVATE, history, privacy=PRIVACY)
    logged = known.lazy().with_columns(request_id=pl.lit("r"), row=pl.lit(0, pl.Int64), package_digest=pl.lit("p"))

    assert examples(PRIVATE, history, logged.select(feedback_schema(private_schema()).names()), PRIVACY).height == known.height


@pytest.mark.parametrize("changes", [{"features": ("depot", "stops")}, {"features": ("stops",), "slices": ("depot",)}])
def test_what_is_used_stands_in_the_clear_and_feedback_which_lacks_it_is_left_out(changes: dict[str, Any]) -> None:
    use_case = msgspec.structs.replace(PRIVATE, **changes)
    later = parcel_history().filter(pl.col("sent_at") >= at("2013-06-03"))
    back = examples(msgspec.structs.replace(PRIVATE, history_until="2014-01-01"), later, privacy=PRIVACY)
    assert examples(PRIVATE, parcel_history(), back.lazy().drop("split"), PRIVACY).filter(split="later").height == back.height > 0

    rows = examples(use_case, parcel_history(), back.lazy().drop("split"), PRIVACY)

    assert use_case.lacking == ("depot",)
    assert set(rows["depot"]) == {"north", "south", "harbour"}
    assert rows.select(pl.col("sent_at").max() < at("2013-06-03")).item()


def test_without_the_key_nothing_sensitive_becomes_an_example() -> None:
    with pytest.raises(SettingError, match="the key to hash 'parcel_id' with"):
        examples(PRIVATE, parcel_history())
