"""Whether answers are calibrated in every slice of the evaluation: in none are they off apart from all others."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from checks.calibration import (
    NEGLIGIBLE_RATIO,
    STANDING_DAYS,
    are_shares,
    differences,
    predicted_over_observed,
    still_stands,
    variance_by_chance,
    weights,
)
from checks.days import Floats, LabelledDay, counts
from checks.shift import Evidence, Shift, evidence, shifts_in, usual_variance
from checks.verdict import Verdict

# How much the days of a slice scatter is learnt from its own; with fewer rows on a usual day they are mostly chance.
FEWEST_DAYS, FEWEST_ROWS_A_DAY = 14, 5
_LEAST = np.finfo(float).tiny
_NAMED = 5


class _Beside(NamedTuple):
    """A slice and all other answers on the same days.

    `off` is for each day how much more happened than was predicted, `apart` how much more of that than in all others. `by_chance`
    is how much a day's rows alone make of it: the variance of shares in log odds, of other values nothing.
    """

    days: list[LabelledDay]
    others: list[LabelledDay]
    off: Floats
    apart: Floats
    by_chance: float

    @property
    def rows(self) -> int:
        """How many labelled answers the slice has."""
        return int(counts(self.days).sum())


class _Off(NamedTuple):
    """A slice that is off: the day since which it seems to be so, the day on which that was seen, and which way."""

    since: int
    found: int
    up: bool


def calibrated_in_every_slice(
    slices: Mapping[str, Sequence[LabelledDay]], whole: Sequence[LabelledDay], alarms_in_a_year: float, fewest_rows: int
) -> Verdict:
    """Whether no alarm of a slice stands, by a detector that may be asked every day.

    `slices` and `whole` are days of one package, in order. A slice is off when what happened in it is more, or less, than was
    predicted, and also more, or less, than in all other answers of these days: what all are off by is no matter of a slice, but
    of the whole. Both are asked of the detector of `answers_are_calibrated`, which the slices share: of all of them together
    it raises so many false alarms in a year at most. The first four weeks say how much the days of a slice scatter. What was
    seen less than four weeks ago is provisional: a slice has few rows, and is told as an error when it still is off by then.
    """
    shares = are_shares(whole)
    beside = {name: _beside(days, whole, shares=shares) for name, days in slices.items()}
    judged = {name: one for name, one in beside.items() if _is_enough(one, fewest_rows)}
    few = sorted(beside.keys() - judged.keys())
    unjudged = f"; too few rows to judge: {_listed(few)}" if few else ""
    rows = max((one.rows for one in judged.values()), default=0)
    if not judged:
        what = f"{FEWEST_DAYS} days, {fewest_rows:,} labelled answers, and {FEWEST_ROWS_A_DAY} on a usual day"
        return Verdict(passed=False, reason=f"no slice has enough to judge, which is {what}{unjudged}", limit=1.0)
    pairs = [*judged.values()]
    off, apart = (
        _asked(series, pairs, alarms_in_a_year) for series in ([one.off for one in pairs], [one.apart for one in pairs])
    )
    found = {name: _stands(one, off[at], apart[at]) for at, (name, one) in enumerate(judged.items())}
    parts = {
        name: _part(one, found[name], _of_both(off[at].evidence, apart[at].evidence))
        for at, (name, one) in enumerate(judged.items())
    }
    observed = max(part.observed or 0.0 for part in parts.values())
    together = f"over {len(judged)} slices together" if len(judged) > 1 else "for this slice alone"
    if not any(found.values()):
        furthest = max(parts, key=lambda name: parts[name].observed or 0.0)
        reason = (
            f"nothing shows that a slice is off by more than its days scatter, and apart from all other answers; the furthest is "
            f"{furthest}: {parts[furthest].reason}; {together}{unjudged}"
        )
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
        remedy="recalibrate",
        parts=parts,
    )


class _Asked(NamedTuple):
    """What the detector said of one series: its evidence, and its alarms."""

    evidence: Evidence
    alarms: list[Shift]


def _asked(series: Sequence[Floats], pairs: Sequence[_Beside], alarms_in_a_year: float) -> list[_Asked]:
    """The detector's word on a series of each slice; all are asked at once, each as long as it is."""
    usual = [max(usual_variance(daily[:STANDING_DAYS]), one.by_chance, _LEAST) for daily, one in zip(series, pairs, strict=True)]
    longest = max(len(daily) for daily in series)
    padded = np.array([np.pad(daily, (0, longest - len(daily))) for daily in series])
    known = evidence(padded, np.array(usual)[:, None], alarms_in_a_year / len(series))
    found = []
    for position, daily in enumerate(series):
        mine = Evidence(known.up[position, : len(daily)], known.down[position, : len(daily)])
        found.append(_Asked(mine, shifts_in(mine, daily, usual[position])))
    return found


def _beside(days: Sequence[LabelledDay], whole: Sequence[LabelledDay], *, shares: bool) -> _Beside:
    """The days on which both the slice and others have labelled answers."""
    all_of = {day.day: day for day in whole}
    pairs = [(day, _others(all_of[day.day], day, shares=shares)) for day in days if day.day in all_of]
    mine, others = [day for day, rest in pairs if rest.n > 0], [rest for _, rest in pairs if rest.n > 0]
    off, weight = differences(mine, shares=shares), weights(mine)
    by_chance = variance_by_chance(mine) if shares else 0.0
    return _Beside(mine, others, weight * off, weight * (off - differences(others, shares=shares)), by_chance)


def _others(whole: LabelledDay, part: LabelledDay, *, shares: bool) -> LabelledDay:
    n = whole.n - part.n
    means = {}
    for name in ("predicted", "observed"):
        mean = (whole.n * getattr(whole, name) - part.n * getattr(part, name)) / max(n, 1)
        means[name] = min(max(mean, 0.0), 1.0) if shares else mean
    return msgspec.structs.replace(whole, n=n, **means)


def _is_enough(one: _Beside, fewest_rows: int) -> bool:
    if len(one.days) < FEWEST_DAYS or one.rows < fewest_rows:
        return False
    return float(np.median(counts(one.days))) >= FEWEST_ROWS_A_DAY


def _stands(one: _Beside, off: _Asked, apart: _Asked) -> _Off | None:
    """The first alarm that stands by the slice alone and beside all others, the same way, where it is not negligible."""
    n = counts(one.days)
    mine, rest = (np.array([day.observed - day.predicted for day in days]) for days in (one.days, one.others))
    found = []
    for up in (True, False):
        own = [alarm for alarm in off.alarms if alarm.up == up and still_stands(alarm, n * mine)]
        beside = [alarm for alarm in apart.alarms if alarm.up == up and still_stands(alarm, n * (mine - rest))]
        if own and beside:
            one_off = _Off(max(own[0].since, beside[0].since), max(own[0].found, beside[0].found), up)
            found += [one_off] if _matters(one, one_off) else []
    return min(found, key=lambda alarm: alarm.found, default=None)


def _matters(one: _Beside, off: _Off) -> bool:
    mine, others = (predicted_over_observed(days[off.since :]) for days in (one.days, one.others))
    return abs(mine - 1) > NEGLIGIBLE_RATIO and abs(mine - others) > NEGLIGIBLE_RATIO * others


def _part(one: _Beside, off: _Off | None, observed: float) -> Verdict:
    if off is None:
        mine, others = (predicted_over_observed(days[-STANDING_DAYS:]) for days in (one.days, one.others))
        days = min(len(one.days), STANDING_DAYS)
        reason = f"predicted over observed is {mine:.3f} over the last {days} days, in all other answers {others:.3f}"
        return Verdict(passed=True, reason=reason, observed=observed, limit=1.0, rows=one.rows)
    mine, others = (predicted_over_observed(days[off.since :]) for days in (one.days, one.others))
    what, rows = "more" if off.up else "less", int(counts(one.days[off.since :]).sum())
    reason = (
        f"since {one.days[off.since].day} {what} happens than is predicted: predicted over observed is {mine:.3f}, in all other "
        f"answers {others:.3f}, over {len(one.days) - off.since} days with {rows:,} labelled answers, "
        f"seen on {one.days[off.found].day}"
    )
    is_new = len(one.days) - off.found <= STANDING_DAYS
    if is_new:
        reason += f", an error once it has stood for {STANDING_DAYS} days"
    return Verdict(passed=False, reason=reason, observed=observed, limit=1.0, rows=rows, provisional=is_new, remedy="recalibrate")


def _of_both(off: Evidence, apart: Evidence) -> float:
    """How much evidence of the last four weeks there is of both, the same way."""
    return max(
        float(min(mine[-STANDING_DAYS:].max(), beside[-STANDING_DAYS:].max())) for mine, beside in zip(off, apart, strict=True)
    )


def _rows_off(one: _Beside, off: _Off | None) -> float:
    """How many answers' worth a slice is off by since its alarm began."""
    days = one.days[off.since :] if off else []
    return abs(float(sum(day.n * (day.observed - day.predicted) for day in days)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
