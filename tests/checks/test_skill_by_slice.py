"""The claim `base_rate_beaten_in_every_slice`."""

from datetime import timedelta

import msgspec
import pytest

from checks.calibration import STANDING_DAYS
from checks.days import LabelledDay
from checks.slices import base_rate_beaten_in_every_slice
from checks.verdict import Verdict
from tests.checks import flights_days
from tests.checks.days import SKILL, sliced_days
from tests.checks.sliced import EVEN as SIZES
from tests.checks.sliced import (
    LARGEST,
    RATE,
    Sliced,
    assert_says_all,
    bootstrapped,
    days_until_found,
    off,
    provisional_looks,
    years_off,
)
from tests.checks.sliced import judged as judged_by

LOST = {"depot=south": SKILL + 0.2}


def judged(sliced: Sliced, until: int | None = None) -> Verdict:
    return judged_by(sliced, until, base_rate_beaten_in_every_slice)


@pytest.mark.parametrize(("loses", "median", "at_most"), [(0.1, 16, 24), (0.2, 8, 11), (0.5, 3, 4)])
def test_a_model_that_loses_its_skill_in_one_slice_is_found_there_within_days_and_in_no_other(
    loses: float, median: int, at_most: int
) -> None:
    lost = {"depot=south": SKILL + loses}
    years = (sliced_days(120, seed, SIZES, lost=lost, moved_from=40) for seed in range(8))
    found = sorted(days_until_found(year, "depot=south", base_rate_beaten_in_every_slice) for year in years)

    assert found[4] <= median
    assert found[-1] <= at_most


def test_the_finding_says_which_slice_since_when_what_was_seen_over_how_many_rows_and_what_to_do() -> None:
    verdict = judged(sliced_days(60, 3, SIZES, lost=LOST, moved_from=40))

    assert_says_all(verdict, "retrain", "answers are worse than none: the loss is 0.")


def test_a_finding_is_provisional_until_it_has_stood_for_four_weeks() -> None:
    seen, provisional = provisional_looks(
        sliced_days(100, 3, SIZES, lost=LOST, moved_from=40), range(41, 101), base_rate_beaten_in_every_slice
    )

    assert provisional == list(range(seen, seen + STANDING_DAYS))


def test_slices_just_without_skill_raise_hardly_any_alarm_however_often_one_looks() -> None:
    gone = {name: SKILL for name in SIZES if name != LARGEST}

    assert years_off((sliced_days(365, seed, SIZES, lost=gone) for seed in range(6)), base_rate_beaten_in_every_slice) <= RATE


def test_years_of_real_days_on_which_no_slice_has_skill_raise_a_false_alarm_as_rarely_as_was_asked() -> None:
    assert years_off(map(bootstrapped, range(3)), base_rate_beaten_in_every_slice) <= RATE


def test_half_a_year_of_real_days_raises_none() -> None:
    _, whole = real = flights_days.right_slices(skilled=True)

    looks = [judged(real, look) for look in range(20, len(whole) + 1, 4)]

    assert all(look.passed for look in looks)
    assert "over 14 slices together" in looks[-1].reason


def test_skill_that_is_lost_everywhere_is_told_of_the_whole_and_of_no_slice() -> None:
    everywhere = dict.fromkeys(SIZES, SKILL + 0.2)
    sliced = sliced_days(100, 5, SIZES, lost=everywhere, moved_from=40)

    assert all(judged(sliced, look).passed for look in range(41, 101, 5))


def test_a_slice_that_only_has_less_skill_than_others_is_not_off() -> None:
    verdict = judged(sliced_days(120, 2, SIZES, lost={"depot=south": SKILL - 0.02}, moved_from=40))

    assert verdict.passed
    assert verdict.parts["depot=south"].reason.startswith("the loss is 0.5")


def test_a_slice_that_has_more_skill_than_ever_is_not_off() -> None:
    assert judged(sliced_days(80, 2, SIZES, lost={"depot=south": -0.3}, moved_from=40)).passed


def test_an_alarm_goes_when_the_skill_is_back() -> None:
    wrong, right = (sliced_days(60, seed, SIZES, lost=lost) for seed, lost in ((1, LOST), (2, {})))
    later = timedelta(days=60)

    def joined(one: list[LabelledDay], other: list[LabelledDay]) -> list[LabelledDay]:
        return one + [msgspec.structs.replace(day, day=day.day + later) for day in other]

    both = {name: joined(wrong[0][name], right[0][name]) for name in SIZES}, joined(wrong[1], right[1])

    assert off(judged(both, 60)) == ["depot=south"]
    assert judged(both, 60 + 2 * STANDING_DAYS).passed


def test_losses_of_days_that_never_differ_are_no_alarm() -> None:
    slices, whole = sliced_days(40, 3, SIZES)

    def even(days: list[LabelledDay]) -> list[LabelledDay]:
        return [msgspec.structs.replace(day, loss=0.5, base_loss=0.5) for day in days]

    assert judged(({name: even(days) for name, days in slices.items()}, even(whole))).passed


@pytest.mark.parametrize("days", [0, 13])
def test_too_little_evidence_fails_with_that_reason_and_shows_no_figure(days: int) -> None:
    verdict = judged(sliced_days(20, 1, SIZES), days)

    assert not verdict.passed
    assert verdict.observed is None
    assert verdict.asks == "nothing"
    assert verdict.reason.startswith("no slice has enough to judge, which is 14 days, 200 labelled answers, and 5 on a usual day")
