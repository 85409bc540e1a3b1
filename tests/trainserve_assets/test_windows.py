"""The table `windows`: figures that are right."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from lake.errors import NotFound
from lake.home import Home
from lake.tables import TIME
from tests.parcel_log import (
    LOG_FROM,
    answers,
    append_log,
    labels_by_entity,
    labels_of,
    parcels_sent,
    write_history,
)
from tests.scenario import parcel_schema
from tests.window_figures import DAY, figure, spans, table, update
from trainserve_assets.windows.table import newest_windows

CARRIERS = pl.col("parcel_id").str.ends_with("7")


def test_figures_are_those_of_scikit_learn(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels))

    update(home)

    that_day = parcels.filter(pl.col("sent_at").dt.date() == DAY.date())
    score, truth = that_day["probability"].to_numpy(), that_day["label"].to_numpy()
    history = parcels_sent(LOG_FROM - timedelta(days=30), 30, 200, seed=7)["label"].to_numpy()
    assert figure(home, "rows") == 200
    assert figure(home, "log_loss") == pytest.approx(log_loss(truth, score))
    assert figure(home, "base_rate_log_loss") == pytest.approx(log_loss(truth, np.full(200, history.mean())))
    assert figure(home, "auc") == pytest.approx(roc_auc_score(truth, score))
    assert figure(home, "predicted_over_observed") == pytest.approx(score.sum() / truth.sum())
    assert figure(home, "label_rate") == pytest.approx(truth.mean())
    assert figure(home, "mean_score") == pytest.approx(score.mean())
    assert figure(home, "labelled_share") == 1.0


def test_the_area_under_the_curve_counts_ties_half(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3).with_columns(pl.col("probability").round(1))
    append_log(home.lake, answers(parcels), labels_of(parcels))

    update(home)

    that_day = parcels.filter(pl.col("sent_at").dt.date() == DAY.date())
    assert figure(home, "auc") == pytest.approx(roc_auc_score(that_day["label"].to_numpy(), that_day["probability"].to_numpy()))


def test_outcomes_are_counted_and_only_answers_have_scores(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    failed = pl.when(CARRIERS)
    rows = answers(
        parcels,
        outcome=failed.then(pl.lit("failed")).otherwise(pl.lit("answered")),
        scores=failed.then(None).otherwise(pl.concat_list("probability")),
    )
    append_log(home.lake, rows, labels_of(parcels))

    update(home)

    assert figure(home, "failed") == 20
    assert figure(home, "answered") == 180
    assert figure(home, "labelled") == 180
    assert figure(home, "refused") == 0


def test_a_request_that_was_refused_before_it_reached_an_arm_is_counted(home: Home) -> None:
    write_history(home.lake, days=30)
    refused = answers(
        parcels_sent(LOG_FROM, 3),
        arm=pl.lit(None, pl.String),
        package_digest=pl.lit(None, pl.String),
        features=pl.lit(None),
        scores=pl.lit(None),
        outcome=pl.lit("refused"),
    )
    append_log(home.lake, refused)

    update(home)

    assert figure(home, "refused", arm="no arm") == 200


def test_arms_have_figures_of_their_own_and_spans_are_over_all(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3, per_day=1_440)
    arm = pl.when(CARRIERS).then(pl.lit("challenger")).otherwise(pl.lit("champion"))
    append_log(home.lake, answers(parcels, arm=arm), labels_of(parcels))

    update(home)

    assert (figure(home, "rows"), figure(home, "rows", arm="challenger")) == (1_296, 144)
    assert len(spans(home, "rows")) == 3 * 288 - 1, "the newest span is still open"
    assert set(spans(home, "rows").values()) == {5.0}


def test_shadows_do_not_count_as_requests_of_a_span(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 2, per_day=1_440)
    append_log(home.lake, answers(parcels))
    append_log(home.lake, answers(parcels, arm=pl.lit("shadow"), purpose=pl.lit("shadow"), answer=pl.lit(None)), source="other")

    update(home)

    assert set(spans(home, "rows").values()) == {5.0}
    assert figure(home, "mean_score", arm="shadow") == figure(home, "mean_score")


def test_a_span_counts_outcomes_and_how_often_one_input_and_one_key_came(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 1, per_day=1_440)
    stuck, failing = pl.col("sent_at").dt.minute() == 7, pl.col("sent_at").dt.minute() == 8
    same = parcels.with_columns(
        parcel_id=pl.when(pl.col("sent_at").dt.minute().is_between(5, 7)).then(pl.lit("P-1")).otherwise("parcel_id")
    ).with_columns(pl.struct(parcel_schema().names).alias("sent"))
    rows = answers(
        same,
        request_id=pl.format("00000000-0000-7000-8000-{}", pl.int_range(pl.len())),
        outcome=pl.when(failing).then(pl.lit("failed")).otherwise(pl.lit("answered")),
        features=pl.when(stuck).then(pl.col("sent").first()).otherwise("sent"),
    )
    twice = rows.filter(pl.col("event_time_utc").dt.minute() == 7).with_columns(
        request_id=pl.col("request_id") + "-again", seq=-1
    )
    append_log(home.lake, rows)
    append_log(home.lake, twice.with_columns(seq=pl.int_range(pl.len()) + 1), source="other")

    update(home)

    span = DAY - timedelta(days=1) + timedelta(minutes=5)
    assert (spans(home, "rows")[span], spans(home, "failed")[span], spans(home, "answered")[span]) == (6.0, 1.0, 5.0)
    assert (spans(home, "most_of_one_input")[span], spans(home, "most_of_one_key")[span]) == (2.0, 4.0)
    assert spans(home, "latency_p50_us")[span] > 0
    later = span + timedelta(minutes=5)
    assert (spans(home, "most_of_one_input")[later], spans(home, "most_of_one_key")[later]) == (1.0, 1.0)


def test_a_corrected_label_replaces_the_one_before(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels, label=pl.lit(0.0)))
    append_log(
        home.lake,
        labels=labels_of(parcels, label=pl.lit(1.0), received_at_utc=pl.col("sent_at") + pl.duration(days=1)),
        source="corrected",
    )

    update(home)

    assert figure(home, "label_rate") == 1.0
    assert figure(home, "labelled") == 200


def test_a_label_may_name_the_entity_and_its_time(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_by_entity(parcels))

    update(home)

    assert figure(home, "labelled") == 200
    assert figure(home, "label_rate") == pytest.approx(parcels.filter(pl.col("sent_at").dt.date() == DAY.date())["label"].mean())


def test_a_row_of_a_wrong_clock_counts_on_the_day_of_its_arrival_and_blinds_nothing(home: Home) -> None:
    write_history(home.lake, days=2)
    parcels = parcels_sent(LOG_FROM, 3, per_day=20)
    lost = pl.col("parcel_id").str.ends_with("-21")
    year_9999 = datetime(9999, 12, 31, tzinfo=timezone.utc)
    wrong = answers(parcels, event_time_utc=pl.when(lost).then(pl.lit(year_9999, TIME)).otherwise("sent_at"))
    append_log(home.lake, wrong.with_columns(received_at_utc=pl.lit(DAY + timedelta(hours=12), TIME)))

    assert wrong.filter(pl.col("event_time_utc") == year_9999).height == 1
    assert update(home).days[-1] == date(2013, 7, 3)
    assert figure(home, "rows") == 20
    assert newest_windows(table(home))["span_end_utc"].max() == datetime(2013, 7, 4, tzinfo=timezone.utc)
    assert update(home).days == ()


def test_latency_goes_by_the_day_of_arrival(home: Home) -> None:
    write_history(home.lake, days=30)
    arrival = datetime(2020, 1, 1, 12, tzinfo=timezone.utc)
    append_log(home.lake, answers(parcels_sent(LOG_FROM, 3), received_at_utc=pl.lit(arrival)))

    update(home)

    assert figure(home, "latency_p50_us", start=datetime(2020, 1, 1, tzinfo=timezone.utc)) == pytest.approx(1_050, abs=2)
    assert newest_windows(table(home)).filter(pl.col("metric") == "latency_p50_us").height == 1


def test_a_day_of_arrival_has_all_its_answers_though_they_came_in_two_runs(home: Home) -> None:
    write_history(home.lake, days=30)
    arrival = datetime(2020, 1, 1, tzinfo=timezone.utc)
    slow, fast = parcels_sent(LOG_FROM, 1), parcels_sent(date(2013, 7, 2), 1)
    append_log(home.lake, answers(slow, received_at_utc=pl.lit(arrival), latency_us=pl.lit(9_000)))
    update(home)
    append_log(
        home.lake, answers(fast, received_at_utc=pl.lit(arrival + timedelta(hours=1)), latency_us=pl.lit(1_000)), source="2"
    )
    update(home)

    found = newest_windows(table(home)).filter(pl.col("metric") == "latency_p50_us")
    assert found["n"].to_list() == [400]


def test_inputs_are_held_against_the_training_data_of_the_package_that_answered(home: Home) -> None:
    write_history(home.lake, days=60)
    parcels = parcels_sent(LOG_FROM, 3).with_columns(weight_kg=pl.col("weight_kg") * 3)
    append_log(home.lake, answers(parcels))

    update(home)

    assert figure(home, "psi", "weight_kg") > 3 * figure(home, "psi_limit", "weight_kg")
    for name in ("depot", "carrier", "distance_km", "stops", "express"):
        assert figure(home, "psi", name) < 1.5 * figure(home, "psi_limit", name)


def test_an_input_that_became_null_or_unknown_or_out_of_range_is_further_than_any_day_of_training(home: Home) -> None:
    write_history(home.lake, days=60)
    parcels = parcels_sent(LOG_FROM, 3).with_columns(
        distance_km=pl.lit(None, pl.Float64), carrier=pl.lit("drone"), stops=pl.lit(50, pl.Int64)
    )
    append_log(home.lake, answers(parcels))

    update(home)

    for name in ("distance_km", "carrier", "stops"):
        assert figure(home, "psi", name) > 5 * figure(home, "psi_limit", name)


def test_an_answer_of_a_package_that_the_lake_does_not_hold_has_no_reference_and_is_reported(home: Home) -> None:
    write_history(home.lake, days=30)
    stranger = "f" * 64
    append_log(home.lake, answers(parcels_sent(LOG_FROM, 3), package_digest=pl.lit(stranger)))

    assert update(home).without_reference == (stranger,)
    assert newest_windows(table(home)).filter(pl.col("metric").str.starts_with("psi")).is_empty()


def test_before_the_first_prediction_the_error_says_what_to_do(home: Home) -> None:
    write_history(home.lake, days=30)

    with pytest.raises(NotFound, match="Send requests to the proxy"):
        update(home)
