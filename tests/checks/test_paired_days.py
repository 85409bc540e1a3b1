"""Shadows: how often nothing is taken for something, and something for what it is."""

import numpy as np
import pytest
from scipy.stats import norm

from checks.confidence_sequence import with_freedom
from checks.experiment_plan import ExperimentPlan
from checks.paired_days import PART_OF_ALPHA, paired_looks
from tests.checks.flights_days import CHALLENGERS, CHAMPION, loss_differences
from tests.checks.paired import Floats, blocks_of, wrong_gos

PAIRS = [(CHAMPION, CHALLENGERS[0]), (CHAMPION, CHALLENGERS[1]), CHALLENGERS]
LONGEST = [28, 56, 84, 182, None]
YEAR = 365
ALLOWED = 0.05


def noise(experiments: int, days: int, together: float = 0.0) -> Floats:
    """Heavy-tailed daily differences, of which neighbours go together."""
    shocks = np.random.default_rng(1).standard_t(5, (experiments, days))
    for day in range(1, days):
        shocks[:, day] += together * shocks[:, day - 1]
    return shocks


def real_null(trained_until: str, pair: tuple[str, str], experiments: int, days: int, *, swapped: bool) -> tuple[Floats, Floats]:
    """Two-week blocks of real paired days on which neither model was better on the whole."""
    difference, weight = loss_differences(trained_until, *pair)
    return blocks_of(difference - np.average(difference, weights=weight), weight, experiments, days, seed=1, swapped=swapped)


@pytest.mark.parametrize("together", [0.0, 0.29])
@pytest.mark.parametrize("longest", LONGEST)
def test_of_a_thousand_shadows_without_a_difference_at_most_one_in_twenty_is_ever_go(
    longest: int | None, together: float
) -> None:
    daily = noise(1_000, longest or YEAR, together)

    assert wrong_gos(daily, np.ones(daily.shape[1]), ExperimentPlan(longest_days=longest)) <= ALLOWED


@pytest.mark.parametrize("longest", [28, 84, None])
def test_so_it_is_on_two_week_blocks_of_real_days(longest: int | None) -> None:
    daily, weight = real_null("2013-07-01", PAIRS[0], 1_000, longest or YEAR, swapped=False)

    assert wrong_gos(daily, weight, ExperimentPlan(longest_days=longest)) <= ALLOWED


@pytest.mark.slow
@pytest.mark.parametrize("longest", LONGEST)
def test_so_it_is_for_every_pair_of_models_whether_or_not_blocks_change_arms(longest: int | None) -> None:
    experiments, plan = 4_000, ExperimentPlan(longest_days=longest)
    wrong = {
        (until, pair, swapped): wrong_gos(*real_null(until, pair, experiments, longest or YEAR, swapped=swapped), plan)
        for until in ("2013-06-01", "2013-07-01")
        for pair in PAIRS
        for swapped in (True, False)
    }

    assert max(wrong.values()) <= ALLOWED
    assert np.mean([*wrong.values()]) <= ALLOWED / 2
    assert max(share for (_, _, swapped), share in wrong.items() if swapped) <= ALLOWED / 2


def power_of_one_look(longest: int) -> tuple[float, float]:
    """The power of one look at the end, and of daily looks, for an effect of four standard errors at the end."""
    plan, weight = ExperimentPlan(longest_days=longest), np.ones(longest)
    better = np.random.default_rng(2).normal(size=(4_000, longest)) - 4.0 / np.sqrt(longest)
    once = paired_looks(better, weight)
    factor = with_freedom(norm.isf(plan.alpha * PART_OF_ALPHA / 2), once.freedom[:, -1])
    return float((once.estimate[:, -1] + factor * once.error[:, -1] < 0).mean()), wrong_gos(better, weight, plan)


@pytest.mark.parametrize("longest", [28, 56, 84, 182])
def test_looking_daily_keeps_nine_tenths_of_the_power_of_one_look_at_the_end(longest: int) -> None:
    once, daily = power_of_one_look(longest)

    assert once > 0.7
    assert daily >= 0.9 * once


def test_the_error_is_that_of_days_when_days_are_alone_and_larger_when_they_go_together() -> None:
    apart, together = (paired_looks(noise(500, 182, share), np.ones(182)) for share in (0.0, 0.6))

    assert np.median(apart.error[:, -1]) == pytest.approx(apart.estimate[:, -1].std(), rel=0.25)
    assert np.median(together.error[:, -1]) == pytest.approx(together.estimate[:, -1].std(), rel=0.25)


def test_a_look_rests_on_the_days_before_it_alone() -> None:
    daily, weight = noise(1, 40)[0], np.random.default_rng(3).integers(1, 900, 40).astype(float)

    whole, cut = paired_looks(daily, weight), paired_looks(daily[:25], weight[:25])

    for of_whole, of_cut in zip(whole, cut, strict=True):
        np.testing.assert_allclose(of_whole[:25], of_cut)


def test_a_day_counts_by_its_answers() -> None:
    looks = paired_looks(np.array([1.0, 3.0]), np.array([1.0, 3.0]))

    assert looks.estimate[-1] == pytest.approx(2.5)
    assert looks.error[0] == np.inf
