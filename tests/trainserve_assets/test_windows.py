"""The table `windows`: figures that are right, written once for each state of knowledge, and computed only where needed."""

from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from lake.delta import Table
from lake.errors import NotFound
from lake.home import Home
from lake.input_schema import Field, InputSchema
from lake.tables import LABELS, PREDICTIONS, TIME, WINDOWS
from tests.parcel_log import (
    CHALLENGER,
    CHAMPION,
    LOG_FROM,
    answers,
    append_log,
    labels_of,
    parcels_sent,
    write_history,
)
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.logged import with_losses
from trainserve_assets.windows.table import newest_spans, newest_windows
from trainserve_assets.windows.update import Update, update_windows

DAY = datetime(2013, 7, 2, tzinfo=timezone.utc)
CARRIERS = pl.col("parcel_id").str.ends_with("7")


def update(home: Home, days_back: int = 92) -> Update:
    return update_windows(home.lake, parcel_schema(), days_back, 0.01)


def table(home: Home) -> Table:
    return Table(home.lake, USE_CASE, WINDOWS)


def figure(home: Home, metric: str, slice_name: str = "all", arm: str = "champion", start: datetime = DAY) -> float:
    found = newest_windows(table(home)).filter(
        (pl.col("metric") == metric)
        & (pl.col("slice") == slice_name)
        & (pl.col("arm") == arm)
        & (pl.col("span_start_utc") == start)
    )
    spans = found.filter(pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1))
    return float(spans["value"].item())


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


def spans(home: Home, metric: str) -> dict[datetime, float]:
    """The value of each span, by its start."""
    found = newest_spans(table(home)).filter(metric=metric).sort("span_start_utc")
    assert set(found["span_end_utc"] - found["span_start_utc"]) <= {timedelta(minutes=5)}
    return dict(zip(found["span_start_utc"], found["value"], strict=True))


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


def test_spans_of_the_open_day_are_written_as_they_close_and_its_figures_once_an_hour(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 1, per_day=1_440)
    minutes = (pl.col("sent_at") - parcels["sent_at"][0]).dt.total_minutes()
    read = []
    for number, (first, last) in enumerate([(0, 63), (63, 70), (70, 118), (118, 125)]):
        append_log(home.lake, answers(parcels.filter(minutes.is_between(first, last, closed="left"))), source=str(number))
        read.append((update(home), len(spans(home, "rows"))))

    assert [one.days for one, _ in read] == [(LOG_FROM,), (), (), (LOG_FROM,)]
    assert [closed for _, closed in read] == [12, 13, 23, 24]
    assert [one.rows for one, _ in read] == [63, 10, 53, 125]
    assert set(spans(home, "rows").values()) == {5.0}


def test_labels_of_the_open_day_are_not_forgotten_until_its_figures_are_computed(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 2, per_day=1_440)
    minutes = (pl.col("sent_at") - parcels["sent_at"][0]).dt.total_minutes()
    first, then = parcels.filter(minutes < 63), parcels.filter(minutes.is_between(63, 68))
    append_log(home.lake, answers(first))
    update(home)
    append_log(home.lake, answers(then), labels_of(first, received_at_utc=pl.lit(DAY)), source="second")

    assert update(home).days == ()
    append_log(home.lake, answers(parcels.filter(minutes >= 2_000)), source="third")
    update(home)

    assert figure(home, "labelled", start=DAY - timedelta(days=1)) == 63


def test_what_becomes_of_the_log_afterwards_changes_no_window(home: Home, tmp_path: Path) -> None:
    """Replayed into two lakes, of which one joins its files between the updates, the windows are the same bytes."""
    tables = []
    for name, joins in (("one", False), ("other", True)):
        home = Home.at(tmp_path / name)
        write_history(home.lake, days=30)
        for day in range(3):
            parcels = parcels_sent(LOG_FROM + timedelta(days=day), 1, seed=day)
            append_log(home.lake, answers(parcels), labels_of(parcels.filter(~CARRIERS)), source=f"{day}")
            append_log(home.lake, labels=labels_of(parcels.filter(CARRIERS)), source=f"late-{day}")
            if joins:
                for log in (PREDICTIONS, LABELS):
                    Table(home.lake, USE_CASE, log).compact(2)
            update(home)
        tables.append(table(home).scan().collect())

    assert tables[0].height > 1_000
    assert [frame.write_ipc(None).getvalue() for frame in tables[:1]] == [tables[1].write_ipc(None).getvalue()]


def test_running_twice_adds_nothing_and_computes_nothing(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels))

    first, second = update(home), update(home)

    assert first.figures > 0
    assert second == Update(days=(), rows=0, figures=0)


def test_late_labels_add_figures_with_a_later_knowledge_and_keep_the_earlier(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(~CARRIERS)))
    update(home)
    early = figure(home, "log_loss")

    late = labels_of(parcels.filter(CARRIERS), received_at_utc=pl.col("sent_at") + pl.duration(days=30))
    append_log(home.lake, labels=late, source="late")
    update(home)

    that_day = (pl.col("metric") == "log_loss") & (pl.col("span_start_utc") == DAY)
    kept = table(home).scan().filter(that_day).sort("labels_as_of_utc").collect()
    assert kept["n"].to_list() == [180, 200]
    assert kept["labels_as_of_utc"].is_sorted(descending=False)
    assert kept["value"][0] == early
    assert figure(home, "log_loss") == kept["value"][1] != early


def test_only_days_that_were_touched_are_computed_again(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 5)
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(pl.col("sent_at") < DAY)))
    update(home)

    append_log(home.lake, labels=labels_of(parcels.filter(pl.col("sent_at").dt.date() == date(2013, 7, 3))), source="late")

    assert update(home).days == (date(2013, 7, 3),)


def test_days_beyond_the_horizon_are_left_as_they_are(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 5)
    append_log(home.lake, answers(parcels))

    assert update(home, days_back=2).days == (date(2013, 7, 4), date(2013, 7, 5))


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
    by_entity = labels_of(
        parcels,
        request_id=pl.lit(None),
        row=pl.lit(None),
        entity_key_hash=pl.col("parcel_id"),
        event_time_utc=pl.col("sent_at"),
    )
    append_log(home.lake, answers(parcels), by_entity)

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


def test_rows_that_arrive_later_in_a_day_add_figures_over_more_rows(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    packages = (CHAMPION, CHALLENGER)
    for source, (package, hour) in enumerate(zip(packages, (6, 12), strict=True)):
        part = parcels.filter(pl.col("sent_at").dt.hour().is_between(hour - 6, hour - 1))
        append_log(home.lake, answers(part, package_digest=pl.lit(package)), source=str(source))
        update(home)

    kept = table(home).scan().filter((pl.col("metric") == "rows") & (pl.col("span_start_utc") == DAY)).collect()
    days = kept.filter(pl.col("span_end_utc") - pl.col("span_start_utc") == timedelta(days=1)).sort("labels_as_of_utc")
    assert all(earlier < later for earlier, later in pairwise(days["n"]))


def regression_schema() -> InputSchema:
    return InputSchema(
        use_case="weight", task="regression", label="kg", event_time="at", fields=(Field(name="at", type="timestamp"),)
    )


def multiclass_schema() -> InputSchema:
    return InputSchema(
        use_case="colour",
        task="multiclass",
        label="colour",
        classes=("red", "blue"),
        event_time="at",
        fields=(Field(name="at", type="timestamp"),),
    )


def test_a_regression_loses_the_squared_error() -> None:
    rows = pl.LazyFrame({"outcome": ["answered"], "answer": [[3.0]], "scores": [[3.0]], "label": [5.0], "package_digest": ["a"]})

    found = with_losses(rows, regression_schema(), {"a": (4.0,)}).collect().row(0, named=True)

    assert (found["score"], found["truth"], found["loss"], found["base_loss"]) == (3.0, 5.0, 4.0, 1.0)


def test_a_multiclass_answer_loses_the_log_of_what_it_gave_the_true_class() -> None:
    rows = pl.LazyFrame(
        {
            "outcome": ["answered", "answered"],
            "answer": [[0.8, 0.2], [0.5, 0.5]],
            "scores": [[0.8, 0.2], [0.5, 0.5]],
            "label": ["blue", None],
            "package_digest": ["a", "a"],
        }
    )

    found = with_losses(rows, multiclass_schema(), {"a": (0.5, 0.5)}).collect()

    assert found["loss"].to_list() == [pytest.approx(-np.log(0.2)), None]
    assert found["base_loss"].to_list() == [pytest.approx(np.log(2)), None]
