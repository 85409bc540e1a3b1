"""Days as the unit of every statement about answers."""

import msgspec
import numpy as np
import pytest
from statsmodels.api import OLS

from checks.days import matured, standard_error_of_total, total_with_interval
from tests.checks.days import FIRST, labelled_days


def test_a_day_with_only_its_early_labels_has_not_matured() -> None:
    days = labelled_days(10, seed=1, share=0.97)
    days[-1] = msgspec.structs.replace(days[-1], labelled_share=0.4)

    assert matured(days) == days[:-1]


def test_a_day_of_cancellations_has_matured() -> None:
    days = labelled_days(10, seed=1, share=0.97)
    days[4] = msgspec.structs.replace(days[4], labelled_share=0.86)

    assert matured(days) == days


def test_maturity_is_measured_against_what_is_usual_where_few_labels_ever_come() -> None:
    assert len(matured(labelled_days(10, seed=1, share=0.1))) == 10


def test_matured_days_come_in_their_order() -> None:
    days = matured(labelled_days(9, seed=1)[::-1])

    assert [day.day for day in days] == sorted(day.day for day in days)
    assert days[0].day == FIRST


def test_no_days_are_no_matured_days() -> None:
    assert matured([]) == []


@pytest.mark.parametrize(("days", "lags"), [(7, 2), (28, 3), (92, 3)])
def test_the_standard_error_is_that_of_statsmodels(days: int, lags: int) -> None:
    values = np.array([day.observed - day.predicted for day in labelled_days(days, seed=days)])
    fit = OLS(values, np.ones(days)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})

    assert standard_error_of_total(values) == pytest.approx(float(fit.bse[0]) * days)


def test_the_interval_of_a_total_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(400):
        _, low, high = total_with_interval(np.array([day.observed - 0.25 for day in labelled_days(28, seed)]))
        held += low <= 0 <= high

    assert held / 400 > 0.87
