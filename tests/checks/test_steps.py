"""The claim `inputs_make_no_step`."""

from datetime import date, timedelta

import numpy as np
import pytest

from checks.steps import DailyFigure, inputs_make_no_step

FIRST, ROWS = date(2013, 7, 1), 500


def weather(days: int, seed: int) -> list[float]:
    """A temperature that follows the season and goes with the day before."""
    generator = np.random.default_rng(seed)
    values, shock = [], 0.0
    for day in range(days):
        shock = 0.7 * shock + generator.normal(0, 5)
        values.append(60 + 25 * float(np.sin(day / 365 * 2 * np.pi)) + shock)
    return values


def figures(values: list[float], scatter: float = 8.0) -> list[DailyFigure]:
    return [DailyFigure(FIRST + timedelta(days=number), value, ROWS, scatter) for number, value in enumerate(values)]


TRAINING = {"temperature, mean": weather(150, seed=1), "temperature, nulls": [0.01 + 0.004 * (day % 3) for day in range(150)]}


def test_seasons_and_weather_are_no_step() -> None:
    failing = 0
    for seed in range(2, 12):
        year = figures(weather(365, seed))
        failing += sum(
            not inputs_make_no_step({"temperature, mean": year[: day + 1][-14:]}, TRAINING, 200).passed for day in range(14, 365)
        )

    assert failing / (10 * 351) < 0.01


@pytest.mark.parametrize(
    ("name", "before", "broken"),
    [("temperature, mean", 75.0, (75.0 - 32) / 1.8), ("temperature, nulls", 0.01, 1.0)],
)
def test_another_unit_and_a_column_of_nulls_are_found_on_their_first_day(name: str, before: float, broken: float) -> None:
    days = figures([before] * 10 + [broken], scatter=0.1)
    sound = inputs_make_no_step({name: days[:-1]}, TRAINING, 200)
    verdict = inputs_make_no_step({name: days}, TRAINING, 200)

    assert sound.passed
    assert not verdict.passed
    assert verdict.reason.startswith(f"{name} changed overnight; furthest from the days before is {name}: ")
    assert "on 2013-07-11" in verdict.reason
    assert verdict.remedy == "fix the source"


def test_it_is_told_for_three_days_and_then_it_is_what_the_days_before_are() -> None:
    broken = figures([75.0] * 10 + [24.0] * 9, scatter=0.1)
    passed = [inputs_make_no_step({"temperature, mean": broken[:last]}, TRAINING, 200).passed for last in range(11, 20)]

    assert passed[:3] == [False] * 3
    assert all(passed[-4:])


def test_few_rows_scatter_and_days_with_hardly_any_are_not_judged() -> None:
    few = [*figures([75.0] * 10), DailyFigure(FIRST + timedelta(days=10), 24.0, 30, 8.0)]

    assert inputs_make_no_step({"temperature, mean": few}, TRAINING, 200).passed


@pytest.mark.parametrize("training", [{}, {"temperature, mean": [60.0] * 5}])
def test_without_training_or_days_before_it_fails_for_want_of_evidence(training: dict[str, list[float]]) -> None:
    for days, known in ((figures([75.0] * 10), training), (figures([75.0]), TRAINING), ([], TRAINING)):
        verdict = inputs_make_no_step({"temperature, mean": days}, known, 200)
        assert (verdict.passed, verdict.observed) == (False, None)
