"""The boundaries of looks at a test whose longest duration is declared."""

import numpy as np
import pytest
from scipy.stats import norm

from checks.group_sequential import FURTHEST, boundaries, conditional_power, daily_boundaries, spent


def test_five_looks_have_the_boundaries_that_are_published() -> None:
    # Two-sided at 5 %, O'Brien and Fleming's type: as the R packages ldbounds and gsDesign give them.
    assert boundaries((0.2, 0.4, 0.6, 0.8, 1.0), 0.025) == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=2e-4)


def test_one_look_is_a_test_at_a_fixed_time() -> None:
    assert boundaries((1.0,), 0.025) == pytest.approx((1.95996,), abs=1e-5)


def test_all_that_is_spent_at_the_end_is_alpha() -> None:
    assert spent(np.array([0.01, 0.5, 1.0]), 0.025) == pytest.approx((0.0, 0.00153, 0.025), abs=1e-5)


@pytest.mark.parametrize("days", [14, 28, 120])
def test_a_motion_without_drift_crosses_daily_boundaries_as_rarely_as_was_asked(days: int) -> None:
    walks = np.random.default_rng(1).normal(size=(40_000, days)).cumsum(axis=1) / np.sqrt(np.arange(1, days + 1))

    crossed = (walks[:, 6:] > np.array(daily_boundaries(7, days, 0.025))).any(axis=1)

    assert crossed.mean() == pytest.approx(0.025, abs=3 * np.sqrt(0.025 / 40_000))


def test_a_look_at_which_next_to_nothing_may_be_spent_decides_nothing() -> None:
    assert boundaries((0.01, 1.0), 0.025) == pytest.approx((FURTHEST, 1.95996), abs=1e-4)


def test_what_is_left_of_an_experiment_decides_its_conditional_power() -> None:
    assert conditional_power(0.0, 0.0, 0.5, 1.96) == pytest.approx(norm.sf(1.96 / np.sqrt(0.5)))
    assert conditional_power(2.0, 4.0, 0.5, 1.96) == pytest.approx(norm.sf((1.96 - 2 * np.sqrt(0.5) - 2.0) / np.sqrt(0.5)))
    assert conditional_power(2.0, 9.0, 1.0, 1.96) == 1.0
    assert conditional_power(1.9, 9.0, 1.0, 1.96) == 0.0
