"""The claims `every_class_is_answered` and `shares_stay_small`."""

from datetime import date, timedelta

import numpy as np
import pytest

from checks.answers import every_class_is_answered, shares_stay_small
from checks.steps import DailyFigure
from checks.verdict import Remedy

FIRST = date(2013, 7, 1)


def shares(*values: float, rows: int = 1_000) -> list[DailyFigure]:
    return [DailyFigure(FIRST + timedelta(days=number), value, rows, 0.0) for number, value in enumerate(values)]


def test_shares_that_scatter_pass_all_year() -> None:
    generator = np.random.default_rng(1)
    counts = generator.multinomial(300, [0.06, 0.5, 0.44], size=365) / 300

    failing = [
        day
        for day in range(9, 365)
        if not every_class_is_answered(
            {name: shares(*counts[:day, place], rows=300) for place, name in enumerate(("lost", "late", "on time"))}
        ).passed
    ]

    assert failing == []


def test_a_class_that_no_answer_says_is_found_on_its_first_day() -> None:
    verdict = every_class_is_answered({"lost": shares(*[0.05] * 10, 0.0), "late": shares(*[0.95] * 10, 1.0)})

    assert verdict.reason == (
        "none of 1,000 answers of 2013-07-11 says 'lost', 50 are usual and 22 the least that days as they differ have"
    )
    assert (verdict.passed, verdict.remedy) == (False, "roll back")


def test_a_fine_day_on_which_no_flight_is_said_to_be_late_is_as_days_differ() -> None:
    days = [DailyFigure(FIRST + timedelta(days=number), yes / n, n, 0.0) for number, (n, yes) in enumerate(FLIGHTS)]

    failing = [
        days[until - 1].day for until in range(9, len(days) + 1) if not every_class_is_answered({"yes": days[:until]}).passed
    ]

    assert [day.day for day in days if day.value == 0] == [
        date(2013, 7, 30),
        date(2013, 7, 31),
        date(2013, 8, 5),
        date(2013, 8, 6),
    ]
    assert failing == []


# How many flights of each day from 1 July 2013 on, and of how many a model that was trained to June said that they will be late.
FLIGHTS = (
    *((884, 433), (916, 126), (967, 251), (772, 74), (799, 19), (791, 14), (850, 52), (948, 364), (970, 291), (866, 353)),
    *((911, 313), (981, 270), (828, 230), (880, 33), (994, 262), (984, 118), (984, 57), (972, 220), (978, 465), (820, 192)),
    *((864, 87), (892, 376), (875, 388), (974, 157), (979, 115), (984, 52), (840, 64), (838, 128), (959, 137), (986, 0)),
    *((994, 0), (939, 372), (971, 218), (830, 76), (880, 8), (999, 0), (987, 0)),
)


@pytest.mark.parametrize("together", [0.0, 0.5])
@pytest.mark.parametrize("usual", [0.02, 0.06, 0.3])
def test_days_that_differ_from_each_other_raise_a_false_alarm_every_few_years_at_most(usual: float, together: float) -> None:
    generator, odds, alarms, years = np.random.default_rng(3), np.log(usual / (1 - usual)), 0, 6
    for _ in range(years):
        moved = np.zeros(365)
        for day, noise in enumerate(generator.normal(size=365) * np.sqrt(1 - together**2)):
            moved[day] = together * moved[day - 1] + noise
        counts = generator.binomial(900, 1 / (1 + np.exp(-odds - moved))) / 900
        windows = [shares(*counts[day - 28 : day], rows=900) for day in range(28, 366)]
        alarms += sum(not every_class_is_answered({"yes": days}).passed for days in windows)

    assert alarms <= years / 2


def test_a_day_that_has_only_begun_is_not_judged() -> None:
    begun = [*shares(*[0.05] * 10), DailyFigure(FIRST + timedelta(days=10), 0.0, 400, 0.0)]
    ended = [*shares(*[0.05] * 10, 0.0), DailyFigure(FIRST + timedelta(days=11), 0.0, 3, 0.0)]

    assert every_class_is_answered({"lost": begun}).passed
    assert not every_class_is_answered({"lost": ended}).passed


def test_a_class_that_is_seldom_expected_may_be_missing_for_a_day() -> None:
    assert every_class_is_answered({"lost": shares(*[0.005] * 10, 0.0)}).passed


def test_a_rare_class_that_is_answered_far_too_often_is_found_on_the_second_day() -> None:
    one, two = ({"lost": shares(*[0.02] * 10, *[0.2] * days)} for days in (1, 2))

    assert every_class_is_answered(one).passed
    verdict = every_class_is_answered(two)
    assert not verdict.passed
    assert "say 'lost', which is rare: 2.0% at most before" in verdict.reason


def test_before_nine_days_it_is_not_known() -> None:
    verdict = every_class_is_answered({"lost": shares(*[0.02] * 8)})

    assert (verdict.passed, verdict.observed) == (False, None)


@pytest.mark.parametrize(("last", "passed"), [([0.0, 0.3], True), ([0.3, 0.0], True), ([0.3, 0.2], False), ([0.04, 0.05], True)])
def test_a_share_is_too_large_when_it_was_on_two_days_on_end(last: list[float], *, passed: bool) -> None:
    verdict = shares_stay_small({"answers of a fallback": shares(0.0, 0.0, *last), "other": shares(0.0)}, GREATEST, 200, REMEDIES)

    assert verdict.passed is passed
    assert "answers of a fallback" in verdict.reason
    assert verdict.remedy == (None if passed else "roll back")


def test_of_shares_that_are_too_large_the_one_that_is_furthest_so_names_the_remedy() -> None:
    both = {"answers of a fallback": shares(0.06, 0.06), "other": shares(1.0, 1.0)}

    assert shares_stay_small(both, GREATEST, 200, REMEDIES).remedy == "retrain"


GREATEST = {"answers of a fallback": 0.05, "other": 0.5}
REMEDIES: dict[str, Remedy] = {"answers of a fallback": "roll back", "other": "retrain"}


def test_days_of_few_rows_are_not_judged() -> None:
    verdict = shares_stay_small({"other": shares(1.0, 1.0, rows=20)}, GREATEST, 200, REMEDIES)

    assert (verdict.passed, verdict.observed) == (False, None)
