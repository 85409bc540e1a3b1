"""Each slice beside all other answers of the same days: in none of them is something off that is not off in all."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from checks.calibration import STANDING_DAYS, standing
from checks.days import Floats, LabelledDay, counts
from checks.shift import Evidence, Shift, evidence, shifts_in, usual_variance
from checks.verdict import Remedy, Verdict

# How much the days of a slice scatter is learnt from its own; with fewer rows on a usual day they are mostly chance.
FEWEST_DAYS, FEWEST_ROWS_A_DAY = 14, 5
_LEAST = np.finfo(float).tiny
_NAMED = 5


class Beside(NamedTuple):
    """A slice and all other answers on the same days.

    `off` is for each day how far the slice is off, `apart` how much further than all others, and `rows_off` and `rows_apart` the
    same for a day's answers together. `least` is what the variance of a day is at least.
    """

    days: list[LabelledDay]
    others: list[LabelledDay]
    off: Floats
    apart: Floats
    rows_off: Floats
    rows_apart: Floats
    least: float

    @property
    def rows(self) -> int:
        """How many labelled answers the slice has."""
        return int(counts(self.days).sum())


class Off(NamedTuple):
    """A slice that is off: the day since which it seems to be so, the day on which that was seen, and which way."""

    since: int
    found: int
    up: bool


class Told(NamedTuple):
    """What a claim about slices takes for off, and says of it: of a slice that is off, of one that is not, and of all of them."""

    ways: tuple[bool, ...]
    matters: Callable[[Beside, Off], bool]
    off: Callable[[Beside, Off], str]
    sound: Callable[[Beside], str]
    nothing: str
    remedy: Remedy


def beside(
    days: Sequence[LabelledDay], whole: Sequence[LabelledDay], others_of: Callable[[LabelledDay, LabelledDay], LabelledDay]
) -> tuple[list[LabelledDay], list[LabelledDay]]:
    """The days on which both the slice and others have labelled answers, of both."""
    all_of = {day.day: day for day in whole}
    pairs = [(day, others_of(all_of[day.day], day)) for day in days if day.day in all_of and all_of[day.day].n > day.n]
    return [day for day, _ in pairs], [rest for _, rest in pairs]


def mean_of_others(whole: LabelledDay, part: LabelledDay, name: str) -> float:
    """A mean over all answers of a day that are not of this part."""
    return float((whole.n * getattr(whole, name) - part.n * getattr(part, name)) / (whole.n - part.n))


def are_enough(days: Sequence[LabelledDay]) -> bool:
    """Whether a slice has as many days, and rows on a usual one, as it takes to be judged."""
    return len(days) >= FEWEST_DAYS and float(np.median(counts(days))) >= FEWEST_ROWS_A_DAY


def in_every_slice(slices: Mapping[str, Beside], told: Told, alarms_in_a_year: float, fewest_rows: int) -> Verdict:
    """One verdict on all slices, with one on each as its parts.

    A slice is off when the detector says so of its own days, and of them beside all other answers. Each of both is shared by
    all slices that are judged, so of all of them together it raises so many false alarms in a year at most.
    """
    judged = {name: one for name, one in slices.items() if one.rows >= fewest_rows and are_enough(one.days)}
    few = sorted(slices.keys() - judged.keys())
    unjudged = f"; too few rows to judge: {_listed(few)}" if few else ""
    rows = max((one.rows for one in judged.values()), default=0)
    if not judged:
        what = f"{FEWEST_DAYS} days, {fewest_rows:,} labelled answers, and {FEWEST_ROWS_A_DAY} on a usual day"
        return Verdict(passed=False, reason=f"no slice has enough to judge, which is {what}{unjudged}", limit=1.0)
    pairs = [*judged.values()]
    off, apart = (
        _asked(series, pairs, alarms_in_a_year) for series in ([one.off for one in pairs], [one.apart for one in pairs])
    )
    found = {name: _stands(one, off[at], apart[at], told) for at, (name, one) in enumerate(judged.items())}
    parts = {
        name: _part(one, found[name], told, _of_both(off[at].evidence, apart[at].evidence, told))
        for at, (name, one) in enumerate(judged.items())
    }
    observed = max(part.observed or 0.0 for part in parts.values())
    together = f"over {len(judged)} slices together" if len(judged) > 1 else "for this slice alone"
    if not any(found.values()):
        furthest = max(parts, key=lambda name: parts[name].observed or 0.0)
        reason = f"{told.nothing}; the furthest is {furthest}: {parts[furthest].reason}; {together}{unjudged}"
        return Verdict(passed=True, reason=reason, observed=observed, limit=1.0, rows=rows, parts=parts)
    failing = [name for name, one in found.items() if one]
    worst, *others = sorted(failing, key=lambda name: (parts[name].provisional, -_rows_off(judged[name], found[name])))
    also = f"; also off, perhaps with the same rows: {_listed(others)}" if others else ""
    test = f"by a test that raises {alarms_in_a_year:g} false alarms a year at most {together}"
    return Verdict(
        passed=False,
        reason=f"{worst}: {parts[worst].reason}, {test}{also}{unjudged}",
        observed=observed,
        limit=1.0,
        rows=parts[worst].rows,
        provisional=parts[worst].provisional,
        remedy=told.remedy,
        parts=parts,
    )


class _Asked(NamedTuple):
    """What the detector said of one series: its evidence, and its alarms."""

    evidence: Evidence
    alarms: list[Shift]


def _asked(series: Sequence[Floats], pairs: Sequence[Beside], alarms_in_a_year: float) -> list[_Asked]:
    """The detector's word on a series of each slice; all are asked at once, each as long as it is."""
    usual = [max(usual_variance(daily[:STANDING_DAYS]), one.least, _LEAST) for daily, one in zip(series, pairs, strict=True)]
    longest = max(len(daily) for daily in series)
    padded = np.array([np.pad(daily, (0, longest - len(daily))) for daily in series])
    known = evidence(padded, np.array(usual)[:, None], alarms_in_a_year / len(series))
    found = []
    for position, daily in enumerate(series):
        mine = Evidence(known.up[position, : len(daily)], known.down[position, : len(daily)])
        found.append(_Asked(mine, shifts_in(mine, daily, usual[position])))
    return found


def _stands(one: Beside, off: _Asked, apart: _Asked, told: Told) -> Off | None:
    """The first alarm that stands by the slice alone and beside all others, the same way, where it is not negligible."""
    all_own, all_further = standing(off.alarms, one.rows_off), standing(apart.alarms, one.rows_apart)
    found = []
    for up in told.ways:
        own, further = ([alarm for alarm in alarms if alarm.up == up] for alarms in (all_own, all_further))
        if own and further:
            one_off = Off(max(own[0].since, further[0].since), max(own[0].found, further[0].found), up)
            found += [one_off] if told.matters(one, one_off) else []
    return min(found, key=lambda alarm: alarm.found, default=None)


def _part(one: Beside, off: Off | None, told: Told, observed: float) -> Verdict:
    if off is None:
        return Verdict(passed=True, reason=told.sound(one), observed=observed, limit=1.0, rows=one.rows)
    reason, rows = told.off(one, off), int(counts(one.days[off.since :]).sum())
    reason += f", over {len(one.days) - off.since} days with {rows:,} labelled answers, seen on {one.days[off.found].day}"
    is_new = len(one.days) - off.found <= STANDING_DAYS
    if is_new:
        reason += f", an error once it has stood for {STANDING_DAYS} days"
    return Verdict(passed=False, reason=reason, observed=observed, limit=1.0, rows=rows, provisional=is_new, remedy=told.remedy)


def _of_both(off: Evidence, apart: Evidence, told: Told) -> float:
    """How much evidence of the last four weeks there is of both, the same way."""
    ways = [(mine.up, further.up) if up else (mine.down, further.down) for up in told.ways for mine, further in [(off, apart)]]
    return max(float(min(mine[-STANDING_DAYS:].max(), further[-STANDING_DAYS:].max())) for mine, further in ways)


def _rows_off(one: Beside, off: Off | None) -> float:
    """How many answers' worth a slice is off by since its alarm began."""
    return abs(float(one.rows_off[off.since :].sum())) if off else 0.0


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
