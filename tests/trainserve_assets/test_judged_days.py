"""The days that answers are judged by: those of the package's holdout, then those of the log since nothing changed answers."""

from datetime import date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from checks.days import LabelledDay
from lake.delta import Table
from lake.documents import DocumentStore
from lake.evaluation import read_evaluation
from lake.home import Home
from lake.package import open_package
from lake.parameters.changes import score_effects
from lake.parameters.document import Content, Parameters
from lake.parameters.rules import Answer, Compare, Rule, Shift, Threshold
from lake.tables import WINDOWS
from tests.parcel_log import FEATURES, answers, append_log, labels_of, parcels_sent, write_history
from tests.parcel_training import Platform, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.evidence.holdout import read_holdout, score
from trainserve_assets.windows.judged import labelled_days, served, unchanged_since
from trainserve_assets.windows.metrics import OF_PACKAGE, OF_PARAMETERS, judged_names
from trainserve_assets.windows.table import newest_figures
from trainserve_assets.windows.update import update_windows

FIRST = date(2013, 6, 10)
HEAVY = Compare(field="weight_kg", by=">", value=100)


def figures(home: Home) -> pl.DataFrame:
    """The windows of this lake, brought up to date, as the claims read them."""
    update_windows(home.lake, parcel_schema(), 92, 0.01)
    return newest_figures(Table(home.lake, USE_CASE, WINDOWS), [*judged_names(parcel_schema()), OF_PACKAGE, OF_PARAMETERS])


def days(home: Home, holdout_of: str | None, since: date = FIRST) -> list[LabelledDay]:
    return labelled_days(figures(home), "champion", parcel_schema(), since, holdout_of)


def test_before_the_days_of_the_log_stand_those_of_the_holdout_as_the_package_scores_it(platform: Platform) -> None:
    store, use_case = DocumentStore(platform.home.lake), parcel_use_case()
    digest = read_evaluation(platform.home.lake, USE_CASE, platform.evaluation_id("trees")).package_digest
    sent = parcels_sent(FIRST, 2)
    append_log(platform.home.lake, answers(sent, package_digest=pl.lit(digest)), labels_of(sent))

    found = days(platform.home, digest)

    holdout = read_holdout(platform.lake.table(USE_CASE, "dataset"), use_case)
    engine = open_package(store, USE_CASE, digest).load().engine
    expected = pl.DataFrame(
        {
            "day": holdout.days,
            "score": score(engine, FEATURES, holdout.frame)[:, 0],
            "label": holdout.labels,
        }
    )
    by_day = expected.group_by("day").agg(pl.len(), pl.col("score").mean(), pl.col("label").mean()).sort("day")
    before = found[: by_day.height]
    assert [one.day for one in before] == by_day["day"].to_list()
    assert [one.n for one in before] == by_day["len"].to_list()
    np.testing.assert_allclose([one.predicted for one in before], by_day["score"])
    np.testing.assert_allclose([one.observed for one in before], by_day["label"])
    assert [one.day for one in found[by_day.height :]] == [FIRST, FIRST + timedelta(days=1)]
    assert [one.day for one in days(platform.home, None)] == [FIRST, FIRST + timedelta(days=1)]


def test_a_package_that_the_lake_cannot_score_has_no_holdout(home: Home) -> None:
    write_history(home.lake, days=30)
    sent = parcels_sent(date(2013, 7, 1), 2)
    append_log(home.lake, answers(sent), labels_of(sent))

    assert [one.day for one in days(home, "a" * 64, date(2013, 7, 1))] == [date(2013, 7, 1), date(2013, 7, 2)]


def test_an_arm_serves_what_answered_there_last_since_the_day_after_the_others(home: Home) -> None:
    write_history(home.lake, days=30)
    sent = parcels_sent(date(2013, 7, 1), 6)
    noon_of_the_third = datetime(2013, 7, 3, 12, tzinfo=timezone.utc)
    package = pl.when(pl.col("sent_at") < noon_of_the_third).then(pl.lit("a" * 64)).otherwise(pl.lit("b" * 64))
    append_log(home.lake, answers(sent, package_digest=package), labels_of(sent))

    assert served(figures(home))["champion"] == ("b" * 64, date(2013, 7, 4))


@pytest.mark.parametrize(
    ("changed_on", "effects", "expected"),
    [
        (date(2013, 7, 3), {1: b"", 2: b"shift"}, (date(2013, 7, 4), False)),
        (date(2013, 7, 3), {1: b"shift", 2: b""}, (date(2013, 7, 4), True)),
        (date(2013, 7, 3), {1: b"", 2: b""}, (date.min, True)),
        (date(2013, 7, 3), {1: b"shift", 2: b"shift"}, (date.min, False)),
    ],
)
def test_days_are_cut_where_a_version_of_the_parameters_changed_what_is_answered(
    home: Home, changed_on: date, effects: dict[int, bytes], expected: tuple[date, bool]
) -> None:
    write_history(home.lake, days=30)
    sent = parcels_sent(date(2013, 7, 1), 6)
    noon = datetime(2013, changed_on.month, changed_on.day, 12, tzinfo=timezone.utc)
    version = pl.when(pl.col("sent_at") < noon).then(1).otherwise(2)
    append_log(home.lake, answers(sent, parameters_version=version), labels_of(sent))

    assert unchanged_since(figures(home), "champion", effects.__getitem__) == expected


def test_what_changes_scores_is_answering_in_their_place_shifting_and_clipping_not_a_threshold() -> None:
    shifted = Rule(name="shift", when=HEAVY, then=(Shift(by=0.1),))
    decided = Rule(name="decide", when=HEAVY, then=(Threshold(at=0.3),))
    placed = Rule(name="placed", when=HEAVY, then=(Answer(scores=(1.0,)),))

    assert score_effects(Content(rules=(decided,), threshold=0.4)) == score_effects(Content()) == b""
    later = Parameters(use_case=USE_CASE, version=3, rules=(shifted, decided))
    assert score_effects(Content(rules=(shifted,))) == score_effects(later)
    assert score_effects(Content(rules=(shifted,))) != score_effects(Content(rules=(shifted, placed)))
