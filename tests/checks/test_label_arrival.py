"""The claim `labels_arrive_as_usual`."""

from datetime import date, timedelta

import numpy as np

from checks.label_arrival import AGES, AgedShare, labels_arrive_as_usual

FIRST = date(2013, 7, 1)


def shares(days: int, *, late: tuple[int, ...] = (), rows: int = 500, seed: int = 1) -> list[AgedShare]:
    """Days of which a tenth has its label after a day, and nine tenths after two weeks; what came on `late` days is lost."""
    generator = np.random.default_rng(seed)
    usual = {1: 0.1, 2: 0.3, 3: 0.5, 7: 0.7, 14: 0.9, 28: 0.95}
    return [
        AgedShare(
            FIRST + timedelta(days=day), age, 0.0 if day in late else float(generator.binomial(rows, usual[age])) / rows, rows
        )
        for age in AGES
        for day in range(days - age)
    ]


def test_labels_that_come_slowly_as_ever_pass_and_the_share_that_never_comes_is_told() -> None:
    verdict = labels_arrive_as_usual(shares(60), FIRST + timedelta(days=60))

    assert verdict.passed
    assert "labels come as usual; 5." in verdict.reason or "labels come as usual; 4." in verdict.reason


def test_usual_scatter_is_no_finding_on_any_day() -> None:
    assert all(labels_arrive_as_usual(shares(60, seed=seed), FIRST + timedelta(days=60)).passed for seed in range(200))


def test_two_days_without_labels_are_found_when_they_are_a_day_old_and_one_is_not() -> None:
    one = labels_arrive_as_usual(shares(40, late=(38,)), FIRST + timedelta(days=40))
    two = labels_arrive_as_usual(shares(40, late=(37, 38)), FIRST + timedelta(days=40))

    assert one.passed
    assert not two.passed
    assert two.reason.startswith("after 1 days 0% of 500 and 0% of 500 answers of 2013-08-07 and 2013-08-08 have a label")
    assert two.remedy == "fix the source"


def test_few_labels_that_are_missing_by_chance_are_none() -> None:
    assert labels_arrive_as_usual(shares(40, late=(37, 38), rows=30), FIRST + timedelta(days=40)).passed


def test_before_it_is_known_how_soon_they_come_it_fails_for_want_of_evidence() -> None:
    for young in (shares(5), []):
        verdict = labels_arrive_as_usual(young, FIRST + timedelta(days=5))
        assert (verdict.passed, verdict.observed) == (False, None)
