"""Years of slices: how often any is called off though it is right, and how soon one is that is not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec
import numpy as np

from checks.calibration import STANDING_DAYS
from checks.days import LabelledDay
from checks.slices import calibrated_in_every_slice
from checks.verdict import Remedy, Verdict
from tests.checks import flights_days
from tests.checks.days import FIRST

RATE = 0.2
LARGEST, MOVED = "depot=north", "depot=harbour"
EVEN = {LARGEST: 300, "depot=south": 200, MOVED: 100, "depot=airport": 60, "depot=hill": 60}
UNEVEN_SIZES = {LARGEST: 300, MOVED: 100, **{f"depot={rows}": rows for rows in range(5, 60, 5)}}
_BLOCK, _YEAR = 14, 365
_NEW_YEAR = date(2014, 1, 1)

Sliced = tuple[dict[str, list[LabelledDay]], list[LabelledDay]]
Claim = Callable[[Mapping[str, Sequence[LabelledDay]], Sequence[LabelledDay], float, int], Verdict]


def judged(sliced: Sliced, until: int | None = None, claim: Claim = calibrated_in_every_slice) -> Verdict:
    """As they were judged when so many days of all were known."""
    slices, whole = sliced
    known = whole[:until]
    last = known[-1].day if known else date.min
    return claim({name: [day for day in days if day.day <= last] for name, days in slices.items()}, known, RATE, 200)


def off(verdict: Verdict) -> list[str]:
    """The slices that are called so."""
    return [name for name, part in verdict.parts.items() if not part.passed]


def days_until_off(sliced: Sliced, claim: Claim = calibrated_in_every_slice, begins: int = 40) -> int:
    """Looking every day from this one on; the number of days there are, when none is."""
    _, whole = sliced
    return next((look - begins for look in range(begins + 1, len(whole) + 1) if off(judged(sliced, look, claim))), len(whole))


def days_until_found(sliced: Sliced, name: str, claim: Claim = calibrated_in_every_slice, begins: int = 40) -> int:
    """The same, where no slice but the one of this name may be called off."""
    days = days_until_off(sliced, claim, begins)
    found = off(judged(sliced, begins + days, claim))
    assert found in ([name], []), found
    return days


def provisional_looks(sliced: Sliced, looks: range, claim: Claim = calibrated_in_every_slice) -> tuple[int, list[int]]:
    """Looking on these days: the first on which it failed, which it does from then on, and all on which it is provisional."""
    verdicts = {look: judged(sliced, look, claim) for look in looks}
    seen = min(look for look, verdict in verdicts.items() if not verdict.passed)
    assert not any(verdict.passed for look, verdict in verdicts.items() if look >= seen)
    return seen, [look for look, verdict in verdicts.items() if verdict.provisional]


def assert_says_all(verdict: Verdict, remedy: Remedy, seen: str) -> None:
    """That the slice which is off from day 40 on is named: since when, what was `seen`, over how many rows, and what to do."""
    assert not verdict.passed
    assert verdict.remedy == remedy
    assert verdict.observed is not None
    assert verdict.observed >= 1
    assert verdict.reason.startswith(f"depot=south: since {FIRST + timedelta(days=40)} {seen}")
    assert "in all other answers" in verdict.reason
    assert f"over 20 days with {verdict.rows:,} labelled answers, seen on 2013-08-" in verdict.reason
    assert "0.2 false alarms a year at most over 5 slices together" in verdict.reason


def years_off(years: Iterable[Sliced], claim: Claim = calibrated_in_every_slice) -> float:
    """The share of years in which any slice is called off. An alarm stands for four weeks, so none is missed."""
    looks = [*range(STANDING_DAYS, _YEAR, STANDING_DAYS - 1), _YEAR]
    return float(np.mean([any(off(judged(year, look, claim)) for look in looks) for year in years]))


def bootstrapped(seed: int, *, skilled: bool = False) -> Sliced:
    """A year of real days on which each slice is right in each month: blocks of two weeks, all slices of a day together.

    Unless they stay `skilled`, slices are just without skill, beside others that have it.
    """
    slices, _ = flights_days.right_slices(skilled=skilled)
    _, whole = flights_days.right_slices(skilled=True)
    generator = np.random.default_rng(seed)
    begins = generator.integers(0, len(whole) - _BLOCK, _YEAR // _BLOCK + 1)
    drawn = [whole[begin + number].day for begin in begins for number in range(_BLOCK)][:_YEAR]
    return {name: _drawn(days, drawn) for name, days in slices.items()}, _drawn(whole, drawn)


def _drawn(days: list[LabelledDay], drawn: list[date]) -> list[LabelledDay]:
    of_day = {day.day: day for day in days}
    return [
        msgspec.structs.replace(of_day[day], day=_NEW_YEAR + timedelta(days=number))
        for number, day in enumerate(drawn)
        if day in of_day
    ]
