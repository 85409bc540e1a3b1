"""The claim `answers_beat_the_base_rate`."""

import pytest

from checks.days import LabelledDay
from checks.skill import answers_beat_the_base_rate
from checks.verdict import Verdict
from tests.checks import flights_days
from tests.checks.days import labelled_days

RATE = 0.2


def judged(days: list[LabelledDay]) -> Verdict:
    return answers_beat_the_base_rate(days, RATE, 200)


@pytest.mark.parametrize("days", [14, 28])
def test_answers_without_skill_hardly_ever_pass(days: int) -> None:
    passed = sum(judged(labelled_days(days, seed, skill=0.0)).passed for seed in range(400))

    assert passed / 400 < 0.09


def test_answers_with_skill_pass() -> None:
    passed = sum(judged(labelled_days(14, seed, skill=0.03)).passed for seed in range(100))

    assert passed >= 97


def test_answers_worse_than_the_base_rate_fail_and_say_so() -> None:
    verdict = judged(labelled_days(60, seed=2, skill=-0.05))

    assert not verdict.passed
    assert verdict.observed is not None
    assert verdict.observed > 0
    assert "the base rate's 0.5000" in verdict.reason
    assert "over 28 days with 14,000 labelled answers" in verdict.reason
    assert verdict.remedy == "retrain"


def test_answers_of_which_it_cannot_be_told_fail_without_a_figure() -> None:
    verdict = judged(labelled_days(28, seed=2, skill=0.0))

    assert not verdict.passed
    assert verdict.observed is None
    assert "it cannot be told yet" in verdict.reason


@pytest.mark.parametrize("trained_until", ["2013-06-01", "2013-07-01"])
def test_on_flights_no_day_of_the_half_year_is_an_error(trained_until: str) -> None:
    days = flights_days.labelled_days(trained_until, "2013-07-01")

    wrong = [
        days[look - 1].day for look in range(7, len(days) + 1) if (verdict := judged(days[:look])).observed and not verdict.passed
    ]

    assert wrong == []


@pytest.mark.parametrize("days", [0, 6])
def test_too_few_days_fail_with_that_reason_and_show_no_figure(days: int) -> None:
    verdict = judged(labelled_days(days, seed=1))

    assert not verdict.passed
    assert verdict.observed is None
    assert "too few" in verdict.reason
