"""The claim `calibrated_in_every_slice`."""

from datetime import timedelta

import msgspec
import pytest

from checks.calibration import STANDING_DAYS, answers_are_calibrated
from checks.days import LabelledDay
from tests.checks import flights_days
from tests.checks.days import sliced_days
from tests.checks.sliced import EVEN as SIZES
from tests.checks.sliced import RATE, assert_says_all, bootstrapped, days_until_found, judged, off, provisional_looks, years_off


@pytest.mark.parametrize(("shift", "median", "at_most"), [(0.5, 15, 30), (1.0, 6, 12), (-1.0, 12, 22)])
def test_a_model_that_is_off_in_one_slice_is_found_there_within_days_and_in_no_other(
    shift: float, median: int, at_most: int
) -> None:
    years = (sliced_days(120, seed, SIZES, moved={"depot=south": shift}, moved_from=40) for seed in range(8))
    found = sorted(days_until_found(year, "depot=south") for year in years)

    assert found[4] <= median
    assert found[-1] <= at_most


def test_the_finding_says_which_slice_since_when_what_was_seen_over_how_many_rows_and_what_to_do() -> None:
    verdict = judged(sliced_days(60, 3, SIZES, moved={"depot=south": 1.0}, moved_from=40))

    assert_says_all(verdict, "recalibrate", "more happens than is predicted: predicted over observed is 0.")


def test_a_finding_is_provisional_until_it_has_stood_for_four_weeks() -> None:
    seen, provisional = provisional_looks(sliced_days(100, 3, SIZES, moved={"depot=south": 1.0}, moved_from=40), range(41, 101))

    assert provisional == list(range(seen, seen + STANDING_DAYS))


def test_sound_slices_raise_hardly_any_alarm_however_often_one_looks() -> None:
    assert years_off(sliced_days(365, seed, SIZES) for seed in range(12)) <= RATE


def test_years_of_real_days_on_which_each_slice_is_right_raise_a_false_alarm_as_rarely_as_was_asked() -> None:
    assert years_off(map(bootstrapped, range(6))) <= RATE


def test_half_a_year_of_real_days_on_which_each_slice_is_right_raises_none() -> None:
    _, whole = right = flights_days.right_slices()

    looks = [judged(right, look) for look in range(20, len(whole) + 1, 4)]

    assert all(look.passed for look in looks)
    assert "over 14 slices together" in looks[-1].reason


def test_what_all_answers_are_off_by_is_told_of_the_whole_and_of_no_slice() -> None:
    everywhere = dict.fromkeys(SIZES, -0.8)
    slices, whole = sliced_days(100, 5, SIZES, moved=everywhere, moved_from=40)

    looks = [(judged((slices, whole), look), answers_are_calibrated(whole[:look], [], RATE, 200)) for look in range(41, 101, 5)]

    assert not looks[-1][1].passed
    assert all(by_slice.passed for by_slice, _ in looks)


def test_the_slice_that_is_right_while_all_others_are_off_is_not_off() -> None:
    others = dict.fromkeys((name for name in SIZES if name != "depot=south"), -1.0)

    verdict = judged(sliced_days(80, 5, SIZES, moved=others, moved_from=40))

    assert "depot=south" not in off(verdict)


def test_several_slices_are_told_as_one_the_one_with_the_most_rows_off_first() -> None:
    verdict = judged(sliced_days(70, 2, SIZES, moved={"depot=hill": 1.5, "depot=south": 1.5}, moved_from=40))

    assert verdict.reason.startswith("depot=south: ")
    assert "; also off, perhaps with the same rows: depot=hill" in verdict.reason
    assert sorted(off(verdict)) == ["depot=hill", "depot=south"]


def test_an_alarm_goes_when_the_slice_is_right_again() -> None:
    wrong, right = (sliced_days(60, seed, SIZES, moved=moved) for seed, moved in ((1, {"depot=south": 1.0}), (2, {})))
    later = timedelta(days=60)

    def joined(one: list[LabelledDay], other: list[LabelledDay]) -> list[LabelledDay]:
        return one + [msgspec.structs.replace(day, day=day.day + later) for day in other]

    both = {name: joined(wrong[0][name], right[0][name]) for name in SIZES}, joined(wrong[1], right[1])

    assert off(judged(both, 60)) == ["depot=south"]
    assert off(judged(both, 67)) == ["depot=south"]
    assert judged(both, 60 + 2 * STANDING_DAYS).passed


def test_the_false_alarms_are_shared_by_all_slices_that_are_judged() -> None:
    slices, whole = sliced_days(100, 9, SIZES)
    alone = judged(({"depot=south": slices["depot=south"]}, whole))
    together = judged((slices, whole))

    assert alone.parts["depot=south"].observed is not None
    assert together.parts["depot=south"].observed == pytest.approx(alone.parts["depot=south"].observed / len(SIZES))


def test_slices_with_too_few_rows_or_days_are_not_judged_and_named() -> None:
    slices, whole = sliced_days(60, 4, {**SIZES, "depot=islet": 2}, moved={"depot=islet": 3.0, "depot=hill": 3.0}, moved_from=40)
    slices["depot=hill"] = slices["depot=hill"][-13:]

    verdict = judged((slices, whole))

    assert verdict.passed
    assert verdict.reason.endswith("too few rows to judge: depot=hill, depot=islet")
    assert not verdict.parts.keys() & {"depot=hill", "depot=islet"}


def test_a_slice_that_came_later_is_judged_by_its_own_days() -> None:
    slices, whole = sliced_days(100, 4, SIZES, moved={"depot=south": 1.0}, moved_from=80)
    slices["depot=south"] = slices["depot=south"][60:]

    assert off(judged((slices, whole))) == ["depot=south"]


@pytest.mark.parametrize("days", [0, 13])
def test_too_little_evidence_fails_with_that_reason_and_shows_no_figure(days: int) -> None:
    verdict = judged(sliced_days(20, 1, SIZES), days)

    assert not verdict.passed
    assert verdict.observed is None
    assert verdict.reason.startswith("no slice has enough to judge, which is 14 days, 200 labelled answers, and 5 on a usual day")


def test_a_slice_that_all_answers_are_in_is_judged_with_the_whole() -> None:
    _, whole = sliced_days(60, 1, SIZES, moved=dict.fromkeys(SIZES, 2.0), moved_from=30)

    verdict = judged(({"depot=north": whole}, whole))

    assert verdict.observed is None
    assert "too few rows to judge: depot=north" in verdict.reason


def test_values_that_are_no_shares_are_judged_as_they_are() -> None:
    def far(days: list[LabelledDay]) -> list[LabelledDay]:
        return [msgspec.structs.replace(day, observed=100 * day.observed, predicted=100 * day.predicted) for day in days]

    slices, whole = sliced_days(70, 3, SIZES, moved={"depot=harbour": 1.0}, moved_from=40)

    assert off(judged(({name: far(days) for name, days in slices.items()}, far(whole)))) == ["depot=harbour"]


def test_nothing_that_ever_happens_nor_is_predicted_is_no_alarm() -> None:
    slices, whole = sliced_days(40, 3, SIZES)

    def never(days: list[LabelledDay]) -> list[LabelledDay]:
        return [msgspec.structs.replace(day, observed=0.0, predicted=0.0) for day in days]

    assert judged(({name: never(days) for name, days in slices.items()}, never(whole))).passed
