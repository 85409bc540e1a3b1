"""What watches the log, on a Dagster instance: windows with their checks, feedback, and what starts them."""

from datetime import datetime, timedelta, timezone

import dagster as dg
import polars as pl
import pytest

from lake.parameters import Arm, Parameters, publish_parameters
from lake.parameters.rules import Compare, Rule, Shift
from tests.parcel_log import (
    LOG_FROM,
    answers,
    append_log,
    fortnight,
    labels_of,
    parcels_sent,
    two_arms,
)
from tests.parcel_training import Platform, failures, parcel_history
from tests.scenario import USE_CASE, parcel_schema

MONITORING = ("windows", "feedback", "experiment")
TENTH = pl.col("parcel_id").str.ends_with("7")


def checks(platform: Platform) -> dict[str, dg.AssetCheckEvaluation]:
    """Materialize the windows; what each of their checks said."""
    result = platform.run(["windows"])
    assert result.success, failures(result)
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_a_sound_log_passes_every_check_but_that_its_release_was_for_a_year(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, pl.col("probability")), labels_of(sent))

    found = checks(watched)

    assert set(found) == {
        "requests_come_as_usual",
        "nothing_comes_again_and_again",
        "requests_are_answered",
        "answers_come_in_time",
        "every_class_is_answered",
        "scores_make_no_step",
        "answers_are_the_models_own",
        "categories_are_known",
        "inputs_make_no_step",
        "inputs_are_served_as_built",
        "labels_arrive_as_usual",
        "releases_last",
        "changes_are_temporary",
        "answers_are_calibrated",
        "calibrated_in_every_slice",
        "answers_beat_the_base_rate",
        "base_rate_beaten_in_every_slice",
        "inputs_look_like_training",
        "every_logged_digest_was_live",
        "scores_are_the_packages",
        "requests_come_once",
    }
    failing = {name: one.description or "" for name, one in found.items() if not one.passed}
    assert failing.pop("scores_are_the_packages").startswith("362 of 362"), "its packages' bytes are not those of their digests"
    assert set(failing) == {"releases_last"}, failing
    assert failing["releases_last"].startswith("release 1 on arm 'champion' expired"), "it was for a year, in 2013"
    skill = found["answers_beat_the_base_rate"].metadata
    assert set(skill) == {"observed", "limit", "rows", "each"}
    assert skill["observed"].value == pytest.approx(-0.05, abs=0.04)
    assert skill["limit"].value == 0.0


def test_a_few_rows_with_a_time_far_ahead_hide_no_day_from_the_checks(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, pl.col("probability")), labels_of(sent))
    for days in (20, 300):  # a client's clock is wrong, within what a row may be filed under
        far = sent.tail(2).with_columns(parcel_id=pl.format("far-{}", "parcel_id"))
        rows = answers(far, event_time_utc=pl.col("sent_at") + timedelta(days=days))
        append_log(watched.home.lake, rows, source=f"in {days} days")

    failing = {name for name, one in checks(watched).items() if not one.passed}

    assert failing == {"releases_last", "scores_are_the_packages"}, "as of a sound log"


@pytest.mark.parametrize(
    ("score", "failing"),
    [
        (pl.col("probability") * 0.6, "answers_are_calibrated"),
        (1 - pl.col("probability"), "answers_beat_the_base_rate"),
    ],
)
def test_wrong_answers_of_one_arm_are_an_error_that_names_the_arm(watched: Platform, score: pl.Expr, failing: str) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, score), labels_of(sent))

    found = checks(watched)[failing]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert (found.description or "").startswith("challenger: ")


def test_a_package_that_was_never_released_is_an_error(watched: Platform) -> None:
    sent = fortnight()
    stranger = pl.when(TENTH).then(pl.lit("f" * 64)).otherwise(pl.lit("a" * 64))
    append_log(watched.home.lake, answers(sent, package_digest=stranger), labels_of(sent))

    found = checks(watched)["every_logged_digest_was_live"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert "ffffffffffff on arm 'champion'" in (found.description or "")


def test_a_ledger_that_was_tampered_with_is_an_error(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent), labels_of(sent))
    [*_, newest] = watched.lake.store.names(f"{USE_CASE}/releases")
    watched.lake.store.put(f"{USE_CASE}/releases/{newest}", b"{}")

    found = checks(watched)["every_logged_digest_was_live"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert "does not verify" in (found.description or "")


def test_inputs_that_shifted_are_a_warning(watched: Platform) -> None:
    sent = fortnight().with_columns(weight_kg=pl.col("weight_kg") * 3)
    append_log(watched.home.lake, answers(sent), labels_of(sent))

    found = checks(watched)["inputs_look_like_training"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert "weight_kg" in (found.description or "")


def test_the_last_hour_without_requests_is_an_error(watched: Platform) -> None:
    sent = fortnight()
    gone = (pl.col("sent_at").dt.day() == 14) & pl.col("sent_at").dt.hour().is_between(13, 14)
    until = pl.col("sent_at") < datetime(2013, 7, 14, 15, 20, tzinfo=timezone.utc)
    append_log(watched.home.lake, answers(sent.filter(~gone, until)), labels_of(sent))

    found = checks(watched)["requests_come_as_usual"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert "too few requests" in (found.description or "")
    assert found.metadata["remedy"].value == "fix the source"


def test_a_log_that_ended_days_ago_is_judged_up_to_its_end_and_one_that_went_quiet_up_to_now(watched: Platform) -> None:
    sent = fortnight()
    now = datetime.now(timezone.utc)
    fresh = answers(sent, received_at_utc=pl.lit(now - timedelta(minutes=20)))
    append_log(watched.home.lake, fresh, labels_of(sent))

    found = checks(watched)["requests_come_as_usual"]

    assert not found.passed
    assert (found.description or "").startswith("no request came: 0 from 2013-07-")


def test_one_input_that_comes_again_and_again_is_a_warning(watched: Platform) -> None:
    sent = fortnight()
    stuck = sent.tail(120).with_columns(sent_at=sent["sent_at"][-1] - pl.duration(seconds=10 * pl.int_range(pl.len())))
    again = answers(stuck, features=pl.struct(parcel_schema().names).first(), entity_key_hash=pl.lit("one"))
    append_log(watched.home.lake, answers(sent), labels_of(sent))
    append_log(watched.home.lake, again.with_columns(request_id=pl.col("request_id") + "-again"), source="stuck")

    found = checks(watched)["nothing_comes_again_and_again"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert "came 30 times in each of two spans" in (found.description or "")


def test_a_source_that_breaks_is_a_warning_on_its_first_day(watched: Platform) -> None:
    sent = fortnight()
    broken = pl.col("sent_at").dt.day() == 14
    weight = pl.when(broken).then(pl.col("weight_kg") * 2.2).otherwise("weight_kg")
    distance = pl.when(~broken).then("distance_km")
    append_log(watched.home.lake, answers(sent.with_columns(weight_kg=weight, distance_km=distance)), labels_of(sent))

    found = checks(watched)["inputs_make_no_step"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert (found.description or "").startswith("distance_km, nulls, weight_kg, mean changed overnight")
    assert found.metadata["remedy"].value == "fix the source"


def test_answers_that_say_nothing_any_more_and_are_not_the_models_are_warnings(watched: Platform) -> None:
    sent = fortnight()
    late = pl.col("sent_at").dt.day() >= 13
    log = answers(
        sent.with_columns(carrier=pl.when(late).then(pl.lit("drone")).otherwise("carrier")),
        answer=pl.when(late).then(pl.concat_list(pl.lit(0.1))).otherwise(pl.concat_list("probability")),
        rule=pl.when(late).then(pl.lit("fallback")),
    )
    append_log(watched.home.lake, log, labels_of(sent))

    found = checks(watched)

    assert "says 'yes'" in (found["every_class_is_answered"].description or "")
    own = found["answers_are_the_models_own"].description or ""
    assert "given by a fallback: 100.0%, allowed are 5.0%" in own
    assert "other than the scores: 100.0%" in own
    assert "carrier: " in (found["categories_are_known"].description or "")
    remedies = [found[name].metadata["remedy"].value for name in ("answers_are_the_models_own", "categories_are_known")]
    assert remedies == ["roll back", "retrain"]
    for name in ("every_class_is_answered", "answers_are_the_models_own", "categories_are_known"):
        assert not found[name].passed
        assert found[name].severity == dg.AssetCheckSeverity.WARN


def test_a_field_that_is_served_otherwise_than_the_source_has_it_is_a_warning(watched: Platform) -> None:
    built = parcel_history().collect()
    sent = built.with_columns(probability=pl.lit(0.3), weight_kg=pl.col("weight_kg") * 1_000)
    append_log(watched.home.lake, answers(sent), labels_of(sent.filter(pl.col("label").is_not_null())))

    found = checks(watched)["inputs_are_served_as_built"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.description == "served otherwise than built: weight_kg in 100.0%, over 200 examples; 1.0% are allowed"


def test_a_rule_that_stays_for_months_is_a_warning(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent), labels_of(sent))
    rule = Rule(name="heavy", when=Compare(field="weight_kg", by=">", value=100), then=(Shift(by=0.1),))
    plan = Parameters(use_case=USE_CASE, arms={"champion": Arm()}, rules=(rule,), changed_at_utc="2013-07-01T00:00:00+00:00")
    publish_parameters(watched.lake.store, plan, expected_version=1)

    found = checks(watched)["changes_are_temporary"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert (found.description or "").startswith("in force are rule 'heavy' for ")


def test_labels_that_stop_are_a_warning(watched: Platform) -> None:
    sent = fortnight()
    told = sent.filter(pl.col("sent_at").dt.day() <= 10)
    append_log(watched.home.lake, answers(sent), labels_of(told))

    found = checks(watched)["labels_arrive_as_usual"]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert "after 1 days 0% of 720 and 0% of 720 answers of 2013-07-11 and 2013-07-12 have a label, 100% are usual" in (
        found.description or ""
    )


def test_while_labels_are_missing_the_checks_on_them_fail_as_warnings(watched: Platform) -> None:
    append_log(watched.home.lake, answers(fortnight()))

    found = checks(watched)

    for name in ("answers_are_calibrated", "answers_beat_the_base_rate"):
        assert not found[name].passed
        assert found[name].severity == dg.AssetCheckSeverity.WARN
        assert "too few" in (found[name].description or "")


def test_without_a_log_the_run_fails_and_says_what_to_do(watched: Platform) -> None:
    result = watched.run(["windows"])

    assert not result.success
    assert "Send requests to the proxy" in failures(result)


def test_what_was_answered_and_labelled_comes_back_into_the_dataset(platform: Platform) -> None:
    sent = parcels_sent(LOG_FROM, 2, per_day=50)
    append_log(platform.home.lake, answers(sent), labels_of(sent))
    before = platform.lake.table(USE_CASE, "dataset").scan().collect().height

    result = platform.run(["feedback", "dataset"])

    assert result.success, failures(result)
    after = platform.lake.table(USE_CASE, "dataset").scan().collect()
    assert after.height == before + 100
    assert set(after.filter(pl.col("sent_at").dt.date() >= LOG_FROM)["split"]) == {"later"}
