"""Intervals that hold at every look, without an end."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from checks.confidence_sequence import sequence_factor, with_freedom
from tests.checks.peers import MEANS, said


@pytest.mark.parametrize("number", range(len(MEANS)))
def test_the_interval_is_the_one_that_gbstats_gives(number: int) -> None:
    champion, challenger, alpha, tuned_for = MEANS[number]
    means = [total / n for n, total, _ in (champion, challenger)]
    variances = [(squares - total**2 / n) / (n - 1) / n for n, total, squares in (champion, challenger)]
    width = float(sequence_factor(champion[0] + challenger[0], alpha, tuned_for)) * np.sqrt(sum(variances))

    difference = means[1] - means[0]
    assert [difference - width, difference + width] == pytest.approx(said("gbstats")[number], rel=1e-9)


def test_a_mean_of_nothing_hardly_ever_leaves_it_though_one_looks_always() -> None:
    looks = np.random.default_rng(1).normal(size=(4_000, 1_000)).cumsum(axis=1) / np.sqrt(np.arange(1, 1_001))

    left = (np.abs(looks) > sequence_factor(np.arange(1, 1_001), 0.05)).any(axis=1)

    assert left.mean() <= 0.05


def test_it_is_tightest_for_its_size_where_it_was_tuned() -> None:
    days = np.arange(7, 366)

    for tuned_for in (28, 90):
        widths = sequence_factor(days, 0.05, tuned_for)
        assert abs(int(days[widths.argmin()]) - tuned_for) <= 0.35 * tuned_for


@pytest.mark.parametrize(("point", "freedom"), [(1.96, 4.0), (-2.5, 9.0), (4.3, 1.3)])
def test_a_point_of_students_distribution_has_as_little_beyond_it(point: float, freedom: float) -> None:
    found = float(with_freedom(point, freedom))

    assert np.sign(found) == np.sign(point)
    assert student.sf(abs(found), freedom) == pytest.approx(norm.sf(abs(point)), rel=1e-6)
