"""The claim `answers_beat_the_base_rate`."""

import pytest

from checks.skill import answers_beat_the_base_rate
from tests.checks.days import labelled_days


@pytest.mark.parametrize("days", [14, 28])
def test_answers_without_skill_hardly_ever_pass(days: int) -> None:
    passed = sum(answers_beat_the_base_rate(labelled_days(days, seed, skill=0.0), 200).passed for seed in range(400))

    assert passed / 400 < 0.09


def test_answers_with_skill_pass() -> None:
    passed = sum(answers_beat_the_base_rate(labelled_days(14, seed, skill=0.03), 200).passed for seed in range(100))

    assert passed >= 97


def test_answers_worse_than_the_base_rate_fail_and_say_so() -> None:
    verdict = answers_beat_the_base_rate(labelled_days(28, seed=2, skill=-0.05), 200)

    assert not verdict.passed
    assert verdict.observed is not None
    assert verdict.observed > 0
    assert "the base rate's 0.5000" in verdict.reason
    assert "over 28 days with 14,000 labelled answers" in verdict.reason


@pytest.mark.parametrize("days", [0, 6])
def test_too_few_days_fail_with_that_reason_and_show_no_figure(days: int) -> None:
    verdict = answers_beat_the_base_rate(labelled_days(days, seed=1), 200)

    assert not verdict.passed
    assert verdict.observed is None
    assert "too few" in verdict.reason
