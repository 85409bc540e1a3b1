"""The claim `answers_are_calibrated`."""

from datetime import date, timedelta

import msgspec
import numpy as np
import pytest
import statsmodels.api as sm

from checks.calibration import STANDING_DAYS, answers_are_calibrated, daily_differences
from checks.days import LabelledDay, standard_error_of_total
from checks.shift import evidence
from checks.verdict import Verdict
from tests.checks import flights_days
from tests.checks.days import labelled_days
from tests.checks.paired import blocks_of

RATE = 0.2
MAY, JUNE = "2013-06-01", "2013-07-01"


def judged(days: list[LabelledDay], rows: int = 200) -> Verdict:
    """As a model is judged that was trained on five months of such days."""
    return answers_are_calibrated(days, [day.observed for day in labelled_days(150, seed=9_999)], RATE, rows)


def alarms_on_flights(trained_until: str, first: str) -> list[tuple[date, date]]:
    """Looking every day: from when until when the model that was trained until then was in error."""
    days, training = flights_days.labelled_days(trained_until, first), flights_days.training_rates(trained_until)
    failed = [
        days[look - 1].day
        for look in range(7, len(days) + 1)
        if not answers_are_calibrated(days[:look], training, RATE, 200).passed
    ]
    begins = [day for day in failed if day - timedelta(days=1) not in failed]
    ends = [day for day in failed if day + timedelta(days=1) not in failed]
    return list(zip(begins, ends, strict=True))


def test_the_model_of_june_is_in_error_in_september_and_again_in_december_and_never_in_july_and_august() -> None:
    (autumn, _), (winter, _) = alarms_on_flights(JUNE, JUNE)

    assert date(2013, 9, 1) <= autumn <= date(2013, 9, 12)
    assert winter.month == 12


def test_the_model_of_may_is_in_error_by_the_20th_of_july_its_holdout_being_known() -> None:
    (summer, until), *_ = alarms_on_flights(MAY, MAY)

    assert date(2013, 7, 1) <= summer <= date(2013, 7, 20)
    assert until > date(2013, 8, 1)


@pytest.mark.parametrize("trained_until", [MAY, JUNE])
def test_a_year_of_real_days_on_which_a_model_is_right_raises_a_false_alarm_as_rarely_as_was_asked(trained_until: str) -> None:
    days = flights_days.labelled_days(trained_until, trained_until)
    moved, usual = daily_differences(days, flights_days.training_rates(trained_until))
    month = np.array([day.day.month for day in days])
    right = moved - np.array([moved[month == one].mean() for one in month])

    years, _ = blocks_of(right, np.ones(len(right)), 2_000, 365, seed=1, swapped=False)
    found = evidence(years, usual, RATE)

    assert ((found.up >= 1) | (found.down >= 1)).any(axis=1).mean() <= RATE


@pytest.mark.parametrize("days", [7, 28, 200])
def test_calibrated_answers_raise_hardly_any_alarm(days: int) -> None:
    alarms = sum(not judged(labelled_days(days, seed)).passed for seed in range(200))

    assert alarms / 200 <= 0.05


@pytest.mark.parametrize(("bias", "way"), [(0.6, "more"), (1.4, "less")])
def test_answers_that_predict_too_little_or_too_much_raise_one(bias: float, way: str) -> None:
    verdict = judged(labelled_days(28, seed=3, bias=bias))

    assert not verdict.passed
    assert verdict.observed is not None
    assert verdict.observed >= 1
    assert verdict.remedy == "recalibrate"
    assert f"{way} happens than is predicted: predicted over observed is" in verdict.reason
    assert "over 28 days with 14,000 labelled answers" in verdict.reason


def test_an_alarm_stands_for_four_weeks_and_goes_when_answers_are_right_again() -> None:
    wrong, right = labelled_days(40, seed=3, bias=1.5), labelled_days(100, seed=4)
    moved = timedelta(days=len(wrong))
    days = wrong + [msgspec.structs.replace(day, day=day.day + moved) for day in right]

    assert not judged(days[: len(wrong)]).passed
    assert not judged(days[: len(wrong) + 7]).passed
    assert judged(days[: len(wrong) + 2 * STANDING_DAYS]).passed


def test_an_alarm_stands_for_as_long_as_answers_stay_wrong() -> None:
    days = labelled_days(150, seed=3, bias=1.5)

    assert not any(judged(days[:look]).passed for look in range(40, 151, 5))


def test_a_ratio_close_to_one_passes_however_sure_it_is() -> None:
    days = [msgspec.structs.replace(day, observed=0.25, predicted=0.26) for day in labelled_days(200, seed=3)]

    verdict = judged(days)

    assert verdict.passed
    assert verdict.observed is not None
    assert verdict.observed > 1


def test_answers_that_are_always_off_by_the_same_are_an_alarm_though_nothing_scatters() -> None:
    days = [msgspec.structs.replace(day, observed=0.2, predicted=0.3) for day in labelled_days(28, seed=3)]

    assert not judged(days).passed


@pytest.mark.parametrize(("days", "rows"), [(6, 200), (28, 100_000), (0, 0)])
def test_too_little_evidence_fails_with_that_reason_and_shows_no_figure(days: int, rows: int) -> None:
    verdict = judged(labelled_days(days, seed=1), rows)

    assert not verdict.passed
    assert verdict.observed is None
    assert "too few" in verdict.reason


def test_predictions_of_what_never_happens_fail() -> None:
    verdict = judged([msgspec.structs.replace(day, observed=0.0) for day in labelled_days(28, seed=1)])

    assert not verdict.passed
    assert "less happens than is predicted: predicted over observed is inf" in verdict.reason


def test_without_training_the_first_four_weeks_say_how_much_days_scatter() -> None:
    verdict = answers_are_calibrated(labelled_days(60, seed=3, bias=1.5), [], RATE, 200)

    assert not verdict.passed
    assert verdict.observed is not None


def test_values_that_are_no_shares_are_judged_as_they_are() -> None:
    far = [
        msgspec.structs.replace(day, observed=100 * day.observed, predicted=100 * day.predicted)
        for day in labelled_days(60, seed=3, bias=1.5)
    ]

    assert not answers_are_calibrated(far, [100 * day.observed for day in labelled_days(150, seed=9)], RATE, 200).passed


def test_a_day_of_few_rows_counts_for_less() -> None:
    days = [*labelled_days(20, seed=1), msgspec.structs.replace(labelled_days(1, seed=2)[0], n=5, observed=1.0)]

    moved, _ = daily_differences(days, [])

    assert moved[-1] == pytest.approx(0.75 / (0.25 * 0.75) * 2 * 5 / 500)


def test_the_standard_error_over_days_is_that_of_statsmodels() -> None:
    moved = np.array([day.n * (day.observed - day.predicted) for day in labelled_days(60, seed=2)])

    fitted = sm.OLS(moved, np.ones(len(moved))).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True})

    assert standard_error_of_total(moved) == pytest.approx(60 * float(fitted.bse[0]))
