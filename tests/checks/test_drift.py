"""The claim `inputs_look_like_training`, and the null that it rests on."""

from datetime import date, timedelta

import numpy as np
import pytest

from checks.drift import Counts, FeatureDay, index_limit, inputs_look_like_training, rows_of_null, stability_index

BINS = 12


def days_of_counts(days: int, rows: int, alike: float, seed: int) -> Counts:
    """Counts of each day, shape (days, bins). The higher `alike`, the less days differ beyond what few rows scatter."""
    generator = np.random.default_rng(seed)
    overall = np.random.default_rng(0).dirichlet(np.full(BINS, 3.0))
    return np.array([generator.multinomial(rows, generator.dirichlet(overall * alike)) for _ in range(days)])


def seasonal_days(days: int, rows: int, seed: int) -> Counts:
    """Counts of days whose neighbours are alike: what is common moves slowly, as weather does."""
    generator = np.random.default_rng(seed)
    overall = np.random.default_rng(0).dirichlet(np.full(BINS, 3.0))
    moved, shares = np.zeros(BINS), []
    for _ in range(days):
        moved = 0.8 * moved + generator.normal(0, 0.1, BINS)
        share = overall * np.exp(moved)
        shares.append(share / share.sum())
    return generator.multinomial(rows, np.array(shares))


def weeks_above(training: Counts, later: Counts, rows: int) -> float:
    """The share of later weeks whose mean index is above the limit."""
    index = stability_index(training.sum(axis=0), later)
    return float((index[: len(index) // 7 * 7].reshape(-1, 7).mean(axis=1) > index_limit(training, rows, 0.01)).mean())


@pytest.mark.parametrize("rows", [100, 1_000, 5_000])
@pytest.mark.parametrize("alike", [1e9, 300.0, 40.0])
def test_weeks_like_those_of_training_exceed_the_limit_as_rarely_as_was_asked(rows: int, alike: float) -> None:
    later = days_of_counts(2_800, rows, alike, seed=2)

    assert weeks_above(days_of_counts(150, 800, alike, seed=1), later, rows) <= 0.03


@pytest.mark.parametrize("rows", [100, 1_000])
def test_so_do_weeks_of_days_that_go_together(rows: int) -> None:
    assert weeks_above(seasonal_days(180, 800, seed=1), seasonal_days(7_000, rows, seed=2), rows) <= 0.05


def test_the_limit_follows_the_number_of_rows() -> None:
    training = days_of_counts(150, 800, 1e9, seed=1)

    assert index_limit(training, 100, 0.01) > 5 * index_limit(training, 1_000, 0.01)


def test_a_shifted_feature_exceeds_the_limit() -> None:
    training = days_of_counts(150, 800, 300.0, seed=1)
    shifted = np.roll(days_of_counts(50, 800, 300.0, seed=2), 1, axis=1)

    assert (stability_index(training.sum(axis=0), shifted) > index_limit(training, 800, 0.01)).mean() > 0.95


def test_one_bin_and_one_day_of_training_have_a_limit_too() -> None:
    assert index_limit(np.array([[100]]), 50, 0.01) == 0.0
    assert index_limit(np.array([[60, 40]]), 50, 0.01) > 0.0


def test_an_index_is_finite_when_a_bin_is_empty() -> None:
    assert np.isfinite(stability_index(np.array([0, 50, 50]), np.array([50, 50, 0])))


def test_the_rows_of_a_null_never_exceed_those_it_stands_for() -> None:
    for rows in (1, 7, 100, 12_345):
        assert rows / 1.4 <= rows_of_null(rows) <= rows


def feature_days(ratios: list[float], feature: str = "weight", n: int = 100) -> list[FeatureDay]:
    first = date(2013, 7, 1)
    return [
        FeatureDay(feature=feature, day=first + timedelta(days=number), index=0.1 * ratio, limit=0.1, n=n)
        for number, ratio in enumerate(ratios)
    ]


def test_a_feature_that_stays_below_its_limit_passes_and_the_nearest_is_named() -> None:
    verdict = inputs_look_like_training([*feature_days([0.4] * 7), *feature_days([0.8] * 7, "distance")], 200)

    assert verdict.passed
    assert verdict.observed == pytest.approx(0.8)
    assert "distance at 0.80 of it" in verdict.reason


def test_one_odd_day_is_no_drift() -> None:
    assert inputs_look_like_training(feature_days([0.3, 0.3, 0.3, 2.5, 0.3, 0.3, 0.3]), 200).passed


def test_a_feature_that_shifted_for_good_is_drift_and_is_named() -> None:
    verdict = inputs_look_like_training([*feature_days([1.3] * 7), *feature_days([0.2] * 7, "distance")], 200)

    assert not verdict.passed
    assert "1 of 2 features" in verdict.reason
    assert "weight (1.30 times)" in verdict.reason


def test_a_feature_that_broke_altogether_is_seen_on_its_first_day() -> None:
    assert not inputs_look_like_training(feature_days([0.3] * 6 + [40.0]), 200).passed


def test_only_the_newest_week_counts() -> None:
    assert inputs_look_like_training(feature_days([9.0] * 20 + [0.3] * 7), 200).passed


@pytest.mark.parametrize("days", [[], feature_days([0.3], n=50)])
def test_too_few_answers_fail_with_that_reason(days: list[FeatureDay]) -> None:
    verdict = inputs_look_like_training(days, 200)

    assert not verdict.passed
    assert verdict.observed is None
    assert "200 are needed" in verdict.reason
