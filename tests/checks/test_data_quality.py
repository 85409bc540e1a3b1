"""The rules for labelled examples: each fails on what it is about, with what was found and what was expected."""

import re
from itertools import chain

import polars as pl
import pytest

from checks.data_quality import CLAIMS, EXAMPLES, FIELDS, LABELS, SPLITS, judge_examples, shortcomings
from checks.expectations import Expected, expect
from lake.errors import SettingError
from lake.input_schema import InputSchema
from tests.parcel_training import parcel_history, parcel_use_case
from tests.scenario import parcel_schema
from trainserve_assets.examples import example_key, examples

NOT_FINITE = "values that are not finite"
GOOD = examples(parcel_use_case(), parcel_history())


def failed(rows: pl.DataFrame, schema: InputSchema | None = None) -> dict[str, list[str]]:
    """The reasons of what fails, by claim."""
    schema = schema or parcel_schema()
    verdicts = judge_examples(rows.lazy(), schema, example_key(schema))
    assert set(verdicts) == set(CLAIMS)
    assert all(verdicts.values())
    found = {claim: [one.reason for one in parts if not one.passed] for claim, parts in verdicts.items()}
    # Whoever uses the rows finds the same, without Great Expectations.
    assert sorted(shortcomings(rows.lazy(), schema, example_key(schema))) == sorted(chain.from_iterable(found.values()))
    return {claim: reasons for claim, reasons in found.items() if reasons}


def second(column: str, value: pl.Expr) -> pl.DataFrame:
    """Good examples with one cell changed."""
    return GOOD.with_columns(pl.when(pl.int_range(pl.len()) == 1).then(value).otherwise(column).alias(column))


def test_good_examples_pass_every_claim() -> None:
    assert failed(GOOD) == {}


def test_a_verdict_says_over_how_many_rows() -> None:
    verdicts = judge_examples(GOOD.lazy(), parcel_schema(), example_key(parcel_schema()))
    assert {one.rows for parts in verdicts.values() for one in parts} == {GOOD.height}


@pytest.mark.parametrize(
    ("rows", "claim", "reason"),
    [
        (second("weight_kg", pl.lit(None, pl.Float64)), FIELDS, "weight_kg, nulls: is 1, expected at most 0"),
        (second("weight_kg", pl.lit(1_000.5)), FIELDS, "weight_kg, greatest: is 1,000.5, expected at most 1,000"),
        (second("weight_kg", pl.lit(-0.1)), FIELDS, "weight_kg, least: is -0.1, expected at least 0"),
        (
            second("distance_km", pl.lit(float("nan"))),
            FIELDS,
            f"distance_km, {NOT_FINITE}: is 1, expected at most 0",
        ),
        (
            second("distance_km", pl.lit(float("inf"))),
            FIELDS,
            f"distance_km, {NOT_FINITE}: is 1, expected at most 0",
        ),
        (second("stops", pl.lit(51)), FIELDS, "stops, greatest: is 51, expected at most 50"),
        (second("depot", pl.lit("moon")), FIELDS, "depot, unknown categories: is 1, expected at most 0"),
        (second("parcel_id", pl.lit("x" * 257)), FIELDS, "parcel_id, characters of the longest: is 257, expected at most 256"),
        (GOOD.with_columns(stops=pl.lit(None, pl.Int64)), FIELDS, "stops, known values: is 0, expected at least 1"),
        (second("label", pl.lit(0.5)), LABELS, "label, values that are no class: is 1, expected at most 0"),
        (second("label", pl.lit(None, pl.Float64)), LABELS, "label, nulls: is 1, expected at most 0"),
        (GOOD.head(3).vstack(GOOD), EXAMPLES, "rows of an example that is there before: is 3, expected at most 0"),
        (GOOD.filter(pl.col("split") != "holdout"), SPLITS, "rows in holdout: is 0, expected at least 100"),
        (GOOD.filter(pl.col("label") == 0.0), SPLITS, "rows of class 1 in train: is 0, expected at least 1"),
    ],
)
def test_what_is_wrong_fails_its_claim_with_what_was_found(rows: pl.DataFrame, claim: str, reason: str) -> None:
    found = failed(rows)
    assert reason in found[claim]


def test_a_category_that_may_be_unknown_may_be_unknown() -> None:
    assert failed(second("carrier", pl.lit("rocket"))) == {}


def test_no_rows_at_all_fail_instead_of_passing_for_want_of_evidence() -> None:
    found = failed(GOOD.clear())
    assert "weight_kg, least: is not measured, expected at least 0" in found[FIELDS]
    assert set(found) == {FIELDS, SPLITS}


def test_classes_are_those_of_the_schema() -> None:
    schema = parcel_schema(task="multiclass", classes=("early", "late", "lost"))
    rows = GOOD.with_columns(label=pl.when(pl.col("label") == 1.0).then(pl.lit("late")).otherwise(pl.lit("early")))
    assert failed(rows, schema) == {
        SPLITS: [f"rows of class lost in {split}: is 0, expected at least 1" for split in ("train", "holdout")]
    }
    assert failed(rows.with_columns(label=pl.lit("gone")), schema)[LABELS] == [
        f"label, values that are no class: is {GOOD.height:,}, expected at most 0"
    ]


def test_a_label_of_a_regression_is_any_finite_number() -> None:
    schema = parcel_schema(task="regression")
    assert failed(GOOD.with_columns(label=pl.col("weight_kg")), schema) == {}
    found = failed(GOOD.with_columns(label=pl.lit(float("inf"))), schema)
    assert re.match("label, values that are not finite", found[LABELS][0])


def test_a_measurement_that_was_not_made_fails() -> None:
    [verdict] = expect({"other": 1.0}, [Expected(measurement="asked for", maximum=3)], rows=5)
    assert not verdict.passed
    assert verdict.reason == "asked for: is not measured, expected at most 3"


def test_limits_are_inclusive() -> None:
    between = [Expected(measurement="x", minimum=1, maximum=3)]
    passed = {value: expect({"x": value}, between, rows=1)[0].passed for value in (0.999, 1.0, 3.0, 3.001)}
    assert passed == {0.999: False, 1.0: True, 3.0: True, 3.001: False}
    assert str(between[0]) == "at least 1 and at most 3"


def test_an_expectation_without_any_limit_is_refused() -> None:
    with pytest.raises(SettingError, match="without a limit"):
        Expected(measurement="x")
