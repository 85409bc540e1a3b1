"""The detector that may be asked every day: how often it is wrong, and how soon it is right."""

import numpy as np
import pytest

from checks.shift import YEAR, Shift, evidence, shifts_of, usual_variance
from tests.checks.paired import Floats

RATE = 0.2
YEARS = 1_000


def days(seed: int, *, together: float = 0.0, years: int = YEARS) -> Floats:
    """Years of daily values around 0, of which neighbours go together, with variance 1 whether or not they do."""
    values = np.random.default_rng(seed).normal(size=(years, YEAR))
    values[:, 1:] *= np.sqrt(1 - together**2)
    for day in range(1, YEAR):
        values[:, day] += together * values[:, day - 1]
    return values


def years_with_an_alarm(values: Floats, usual: float = 1.0) -> float:
    found = evidence(values, usual, RATE)
    return float(((found.up >= 1) | (found.down >= 1)).any(axis=-1).mean())


@pytest.mark.parametrize("together", [0.0, 0.2, 0.4])
def test_a_year_of_daily_looks_raises_a_false_alarm_as_rarely_as_was_asked(together: float) -> None:
    assert years_with_an_alarm(days(1, together=together), usual=2.0) <= RATE


def test_where_days_go_together_more_than_is_known_it_is_wrong_up_to_twice_as_often() -> None:
    assert RATE < years_with_an_alarm(days(1, together=0.6), usual=1.0) <= 2 * RATE


@pytest.mark.parametrize(("size", "within"), [(2.0, 10), (1.0, 30), (0.7, 50)])
def test_a_lasting_shift_is_found_the_sooner_the_larger_it_is(size: float, within: int) -> None:
    values = days(2, together=0.4)
    values[:, 100:] -= size

    found = evidence(values, 1.0, RATE).down[:, 100:] >= 1

    assert np.median(np.where(found.any(axis=1), found.argmax(axis=1) + 1, YEAR)) <= within


def test_a_calm_year_does_not_hide_what_begins_then() -> None:
    values = days(3, together=0.4)
    values[:, 300:] += 1.5

    assert np.mean((evidence(values, 1.0, RATE).up[:, 300:330] >= 1).any(axis=1)) > 0.95


def test_it_learns_how_much_days_scatter() -> None:
    loud, quiet = days(4), 0.05 * days(4)
    quiet[:, 200:] += 0.05

    assert years_with_an_alarm(loud, usual=0.5) <= 2 * RATE
    assert np.mean((evidence(quiet, 1.0, RATE).up[:, 200:260] >= 1).any(axis=1)) > 0.9


def test_an_alarm_says_since_when_and_which_way_and_the_next_one_begins_anew() -> None:
    values = np.zeros(120)
    values[50:] = 1.0
    values += np.tile([0.3, -0.3], 60)

    first, second, *_ = shifts_of(values, 1.0, RATE)

    assert first.up
    assert first.since == pytest.approx(50, abs=2)
    assert 50 < first.found < 70
    assert second.since > first.found


def test_a_day_is_judged_by_what_was_known_before_it() -> None:
    values = days(5, years=1)[0]

    whole, cut = evidence(values, 1.0, RATE), evidence(values[:200], 1.0, RATE)

    np.testing.assert_allclose(whole.up[:200], cut.up)
    np.testing.assert_allclose(whole.down[:200], cut.down)


def test_nothing_happens_where_nothing_differs() -> None:
    assert shifts_of(np.zeros(60), 1.0, RATE) == []
    assert isinstance(shifts_of(np.full(60, 3.0), 1.0, RATE)[0], Shift)


def test_the_usual_variance_is_that_of_days_a_week_apart() -> None:
    week = np.tile(np.arange(7.0), 40)

    assert usual_variance(week) == 0.0
    assert usual_variance(week + np.random.default_rng(1).normal(size=280)) == pytest.approx(1.0, rel=0.25)
    assert np.isnan(usual_variance(np.zeros(7)))
