"""The claim `answers_are_calibrated`."""

import math

import msgspec
import pytest

from checks.calibration import answers_are_calibrated
from tests.checks.days import labelled_days


@pytest.mark.parametrize("days", [7, 14, 28])
def test_calibrated_answers_raise_hardly_any_alarm(days: int) -> None:
    alarms = sum(not answers_are_calibrated(labelled_days(days, seed), 4.0, 200).passed for seed in range(500))

    assert alarms / 500 <= 0.01


@pytest.mark.parametrize("bias", [0.6, 1.4])
def test_answers_that_predict_too_little_or_too_much_raise_one(bias: float) -> None:
    verdict = answers_are_calibrated(labelled_days(28, seed=3, bias=bias), 4.0, 200)

    assert not verdict.passed
    assert verdict.observed is not None
    assert math.copysign(1, verdict.observed) == math.copysign(1, bias - 1)
    assert abs(verdict.observed) > 4.0
    assert "predicted over observed is" in verdict.reason
    assert "over 14,000 labelled answers" in verdict.reason


def test_a_ratio_close_to_one_passes_however_sure_it_is() -> None:
    days = [msgspec.structs.replace(day, observed=0.25, predicted=0.26) for day in labelled_days(28, seed=3)]
    days[0] = msgspec.structs.replace(days[0], observed=0.251)

    verdict = answers_are_calibrated(days, 4.0, 200)

    assert verdict.passed
    assert verdict.observed is not None
    assert verdict.observed > 4.0


def test_answers_that_are_always_off_by_the_same_are_an_alarm_though_nothing_scatters() -> None:
    days = [msgspec.structs.replace(day, observed=0.2, predicted=0.3) for day in labelled_days(14, seed=3)]

    assert not answers_are_calibrated(days, 4.0, 200).passed


@pytest.mark.parametrize(("days", "rows"), [(6, 200), (28, 100_000), (0, 0)])
def test_too_little_evidence_fails_with_that_reason_and_shows_no_figure(days: int, rows: int) -> None:
    verdict = answers_are_calibrated(labelled_days(days, seed=1), 4.0, rows)

    assert not verdict.passed
    assert verdict.observed is None
    assert "too few" in verdict.reason


def test_predictions_of_what_never_happens_fail() -> None:
    days = [msgspec.structs.replace(day, observed=0.0) for day in labelled_days(28, seed=1)]

    verdict = answers_are_calibrated(days, 4.0, 200)

    assert not verdict.passed
    assert "nothing of what is predicted was observed" in verdict.reason
