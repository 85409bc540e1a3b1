"""The sequential test of planned shares."""

import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial, multinomial

from checks.experiment import UNEVEN
from checks.sample_ratio import Assignment, sample_ratio_probability
from tests.checks.peers import SHARES, said


def at(units: tuple[int, ...], shares: tuple[float, ...] = (0.7, 0.3)) -> float:
    return sample_ratio_probability([Assignment(units=units, shares=shares)])


def test_true_randomisation_is_hardly_ever_refused_however_often_it_is_looked_at() -> None:
    generator = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        challenger = np.cumsum(generator.random(4_000) < 0.3)
        refused += any(
            at((look - int(challenger[look - 1]), int(challenger[look - 1]))) < 0.05 for look in range(100, 4_001, 100)
        )

    assert refused / 300 <= 0.05


def test_five_points_too_many_are_found_within_some_thousand_units() -> None:
    assert at((1_950, 1_050)) < 0.001
    assert at((45 * 40, 55 * 40), (0.5, 0.5)) < 0.001


def test_what_was_planned_is_not_suspect() -> None:
    assert at((7_000, 3_000)) == 1.0


def test_nobody_yet_is_not_suspect() -> None:
    assert at((0, 0)) == 1.0


def test_a_unit_on_an_arm_that_was_to_get_none_is_impossible() -> None:
    assert at((100, 1), (1.0, 0.0)) == 0.0
    assert at((100, 0), (1.0, 0.0)) == 1.0


def test_plans_are_judged_together() -> None:
    slightly = Assignment(units=(1_360, 640), shares=(0.7, 0.3))

    assert sample_ratio_probability([slightly] * 6) < sample_ratio_probability([slightly])


@pytest.mark.parametrize("units", [(70, 30), (600, 400), (1_900, 1_100)])
def test_the_factor_is_that_of_scipy(units: tuple[int, int]) -> None:
    total = sum(units)
    factor = dirichlet_multinomial.logpmf(units, [700, 300], total) - multinomial.logpmf(units, total, [0.7, 0.3])

    assert at(units) == pytest.approx(min(1.0, float(np.exp(-factor))))


@pytest.mark.parametrize("number", range(len(SHARES)))
def test_the_probability_is_the_one_that_savvi_gives(number: int) -> None:
    units, shares = SHARES[number]

    assert at(tuple(units), tuple(shares)) == pytest.approx(min(1.0, said("savvi")[number]), rel=1e-6)


def test_a_split_of_55_to_45_where_half_was_planned_is_found_within_three_thousand_requests() -> None:
    generator = np.random.default_rng(2)
    needed = []
    for _ in range(300):
        first = np.cumsum(generator.random(6_000) < 0.55)
        looks = range(50, 6_001, 50)
        found = (look for look in looks if at((int(first[look - 1]), look - int(first[look - 1])), (0.5, 0.5)) < UNEVEN)
        needed.append(next(found))

    assert np.median(needed) < 2_000
    assert np.mean(np.array(needed) <= 3_000) > 0.95
