"""The table `windows` by slice: figures that are right, and appended as more is known."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lake.delta import Table
from lake.documents import DocumentStore
from lake.evaluation import read_evaluation
from lake.home import Home
from lake.input_schema import Field, InputSchema
from lake.package import open_package
from lake.tables import WINDOWS
from tests.parcel_log import FEATURES, LOG_FROM, answers, append_log, labels_of, parcels_sent, write_history
from tests.parcel_training import Platform, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema
from tests.window_figures import DAY, figure, table, update
from trainserve_assets.evidence.holdout import read_holdout, score
from trainserve_assets.windows.judged import sliced_days
from trainserve_assets.windows.metrics import WHOLE
from trainserve_assets.windows.picture import windows_picture
from trainserve_assets.windows.slices import MOST_VALUES, sliced_fields
from trainserve_assets.windows.table import newest_windows
from trainserve_assets.windows.update import update_windows

SLICES = ("depot", "carrier")
JUDGED = ("base_rate_log_loss", "label_rate", "labelled_share", "log_loss", "mean_labelled_score")
IS_SLICE = pl.col("slice").str.contains("=")
TENTH = pl.col("parcel_id").str.ends_with("7")


def sliced(home: Home) -> pl.DataFrame:
    """All values of figures by slice."""
    return table(home).scan().filter(IS_SLICE).sort("span_start_utc", "slice", "metric", "labels_as_of_utc").collect()


def test_figures_of_a_slice_are_those_of_its_rows_and_the_slices_of_a_field_have_all_rows(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(~TENTH)))

    update(home, slices=SLICES)

    found = sliced(home)
    that_day = parcels.filter(pl.col("sent_at").dt.date() == DAY.date())
    for name in SLICES:
        for value, rows in that_day.with_columns(pl.col(name).fill_null("null")).group_by(name):
            known = rows.filter(~TENTH)
            slice_name = f"{name}={value[0]}"
            mine = dict(found.filter(slice=slice_name, span_start_utc=DAY).select("metric", "value").iter_rows())
            assert sorted(mine) == [*JUDGED]
            assert mine["label_rate"] == pytest.approx(known["label"].mean())
            assert mine["mean_labelled_score"] == pytest.approx(known["probability"].mean())
            assert mine["labelled_share"] == pytest.approx(known.height / rows.height)
            counted = found.filter(slice=slice_name, span_start_utc=DAY)
            assert set(counted.filter(metric="label_rate")["n"]) == {known.height}
            assert set(counted.filter(metric="labelled_share")["n"]) == {rows.height}
    by_field = found.filter(metric="log_loss", span_start_utc=DAY).group_by(pl.col("slice").str.head(3)).agg(pl.col("n").sum())
    assert by_field["n"].to_list() == [180, 180]
    assert figure(home, "log_loss") == pytest.approx(np.average(*_weighted(found)))


def _weighted(found: pl.DataFrame) -> tuple[pl.Series, None, pl.Series]:
    depots = found.filter(pl.col("slice").str.starts_with("depot="), metric="log_loss", span_start_utc=DAY)
    return depots["value"], None, depots["n"]


def test_a_value_that_is_new_or_null_has_a_slice_of_its_own(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 2).with_columns(carrier=pl.when(TENTH).then(pl.lit("drone")).otherwise("carrier"))
    append_log(home.lake, answers(parcels), labels_of(parcels))

    update(home, slices=("carrier",))

    names = sliced(home)["slice"].unique().sort().to_list()
    assert names == ["carrier=bike", "carrier=drone", "carrier=null", "carrier=van"]
    assert figure(home, "label_rate", "carrier=drone") == pytest.approx(
        parcels.filter(TENTH, pl.col("sent_at").dt.date() == DAY.date())["label"].mean()
    )


def test_late_labels_of_one_slice_append_its_figures_and_those_of_no_other(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    late = (pl.col("depot") == "harbour") & TENTH
    append_log(home.lake, answers(parcels), labels_of(parcels.filter(~late)))
    update(home, slices=("depot",))
    before = sliced(home)

    told = labels_of(parcels.filter(late), received_at_utc=pl.col("sent_at") + pl.duration(days=30))
    append_log(home.lake, labels=told, source="late")
    update(home, slices=("depot",))

    after = sliced(home)
    new = after.join(before, on=after.columns, how="anti")
    assert after.height == before.height + new.height
    assert set(new["slice"]) == {"depot=harbour"}
    known = after.filter(slice="depot=harbour", metric="label_rate", span_start_utc=DAY)
    assert known["n"].is_sorted()
    assert known["n"].n_unique() == known.height == 2


def test_a_day_whose_labels_have_not_come_has_no_figures_by_slice(home: Home) -> None:
    write_history(home.lake, days=30)
    append_log(home.lake, answers(parcels_sent(LOG_FROM, 3)))

    update(home, slices=SLICES)

    assert sliced(home).is_empty()


def test_without_slices_the_windows_are_as_with_them_but_for_these(home: Home, tmp_path: Path) -> None:
    tables = []
    for name, slices in (("without", ()), ("with", SLICES)):
        home = Home.at(tmp_path / name)
        write_history(home.lake, days=30)
        parcels = parcels_sent(LOG_FROM, 3)
        append_log(home.lake, answers(parcels), labels_of(parcels))
        update(home, slices=slices)
        tables.append(table(home).scan().collect())

    without, with_slices = tables
    assert without.filter(IS_SLICE).is_empty()
    assert with_slices.filter(IS_SLICE).height == 3 * 6 * len(JUDGED)
    assert with_slices.filter(~IS_SLICE).equals(without)


def test_a_field_that_is_sliced_by_from_now_on_is_so_for_the_days_that_were_computed_before(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 3)
    append_log(home.lake, answers(parcels), labels_of(parcels))
    update(home)
    before = table(home).scan().collect().height

    update(home, slices=("depot",))
    again = update(home, slices=("depot",))

    found = sliced(home)
    assert found["span_start_utc"].n_unique() == 3
    assert table(home).scan().collect().height == before + found.height
    assert again.figures == 0
    assert again.days == ()


def test_of_a_field_with_a_value_in_each_row_only_the_most_frequent_values_are_sliced(home: Home) -> None:
    write_history(home.lake, days=30)
    parcels = parcels_sent(LOG_FROM, 1).with_columns(carrier=pl.when(TENTH).then(pl.lit("van")).otherwise("parcel_id"))
    append_log(home.lake, answers(parcels), labels_of(parcels))

    update(home, slices=("carrier",))

    names = sliced(home)["slice"].unique()
    assert len(names) == MOST_VALUES
    assert "carrier=van" in names


def test_fields_are_sliced_whose_values_the_log_keeps_and_that_are_no_measurements() -> None:
    schema = parcel_schema()

    assert sliced_fields(schema, ["depot", "stops", "weight_kg", "express", "unknown"]) == ("depot", "stops", "express")
    hidden = InputSchema(
        use_case=USE_CASE,
        version=1,
        task="binary",
        label="late",
        fields=(Field(name="depot", type="category", description="", example="a", sensitive="hash"),),
    )
    assert sliced_fields(hidden, ["depot"]) == ()


def test_the_holdout_is_there_by_slice_and_its_days_stand_before_those_of_the_log(platform: Platform) -> None:
    store, use_case = DocumentStore(platform.home.lake), parcel_use_case()
    digest = read_evaluation(platform.home.lake, USE_CASE, platform.evaluation_id("trees")).package_digest
    first = date(2013, 6, 10)
    sent = parcels_sent(first, 2)
    append_log(platform.home.lake, answers(sent, package_digest=pl.lit(digest)), labels_of(sent))
    update_windows(platform.home.lake, parcel_schema(), 92, 0.01, ("depot",))
    windows = newest_windows(Table(platform.home.lake, USE_CASE, WINDOWS))

    found = sliced_days(windows, "champion", parcel_schema(), first, digest, ("depot",))
    without = sliced_days(windows, "champion", parcel_schema(), first, None, ("depot",))

    holdout = read_holdout(platform.lake.table(USE_CASE, "dataset"), use_case)
    scores = score(open_package(store, USE_CASE, digest).load().engine, FEATURES, holdout.frame)[:, 0]
    expected = holdout.frame.select("depot", "label", day=holdout.days, score=pl.Series(scores))
    assert sorted(found) == ["depot=harbour", "depot=north", "depot=south"]
    for name, days in found.items():
        mine = expected.filter(depot=name.removeprefix("depot="))
        by_day = mine.group_by("day").agg(pl.len(), pl.col("score", "label").mean()).sort("day")
        before = days[: by_day.height]
        assert [one.day for one in before] == by_day["day"].to_list()
        assert [one.n for one in before] == by_day["len"].to_list()
        np.testing.assert_allclose([one.predicted for one in before], by_day["score"])
        np.testing.assert_allclose([one.observed for one in before], by_day["label"])
        assert days[by_day.height :] == without[name]
        assert [one.day for one in without[name]] == [first, first + timedelta(days=1)]
    assert not sliced_days(windows, "champion", parcel_schema(), first, digest, ())
    assert windows_picture(windows) == windows_picture(windows.filter(pl.col("slice").is_in([WHOLE, digest])))
