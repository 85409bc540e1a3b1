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
    weights,
)
from checks.days import Floats, LabelledDay, counts
from checks.shift import Evidence, Shift, evidence, shifts_in, usual_variance
from checks.verdict import Verdict

# How much the days of a slice scatter is learnt from its own; with fewer rows on a usual day they are mostly chance.
FEWEST_DAYS, FEWEST_ROWS_A_DAY = 14, 5
_NAMED = 5


class _Beside(NamedTuple):
    """A slice and all other answers on the same days: of both `off` is for each day how much more happened than predicted."""

    days: list[LabelledDay]
    others: list[LabelledDay]
    off: Floats
    apart: Floats

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
    predicted, and also more, or less, than in all other answers of these days: what all are off by is no matter of a slice, and is
    told of the whole. Both are asked of the detector of `answers_are_calibrated`, which the slices share: of all of them together
    it raises so many false alarms in a year at most. The first four weeks say how much the days of a slice scatter.
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
    off, apart = (_asked([_of(one) for one in judged.values()], alarms_in_a_year / len(judged)) for _of in (_own, _apart))
    found = {name: _stands(one, off[at], apart[at]) for at, (name, one) in enumerate(judged.items())}
    parts = {
        name: _part(one, found[name], _least(off[at].evidence, apart[at].evidence))
        for at, (name, one) in enumerate(judged.items())
    }
    observed = max(part.observed or 0.0 for part in parts.values())
    together = f"over {len(judged)} slices together"
    if not any(found.values()):
        reason = f"in no slice anything shows but what days do, or what all answers are off by; {together}{unjudged}"
        return Verdict(passed=True, reason=reason, observed=observed, limit=1.0, rows=rows, parts=parts)
    worst, *others = sorted((name for name, one in found.items() if one), key=lambda name: -_rows_off(judged[name], found[name]))
    also = f"; so it is, or of the same rows, in {_listed(others)}" if others else ""
    test = f"by a test that raises {alarms_in_a_year:g} false alarms a year at most {together}"
    return Verdict(
        passed=False,
        reason=f"{worst}: {parts[worst].reason}, {test}{also}{unjudged}",
        observed=observed,
        limit=1.0,
        rows=parts[worst].rows,
        remedy="recalibrate",
        parts=parts,
    )


class _Asked(NamedTuple):
    """What the detector said of one series: its evidence, and its alarms."""

    evidence: Evidence
    alarms: list[Shift]


def _own(one: _Beside) -> Floats:
    return one.off


def _apart(one: _Beside) -> Floats:
    return one.apart


def _asked(series: Sequence[Floats], alarms_in_a_year: float) -> list[_Asked]:
    """The detector's word on each series; all are asked at once, each as long as it is."""
    usual = np.array([usual_variance(one[:STANDING_DAYS]) for one in series])
    usual[~(usual > 0)] = np.finfo(float).tiny
    longest = max(len(one) for one in series)
    daily = np.array([np.pad(one, (0, longest - len(one))) for one in series])
    known = evidence(daily, usual[:, None], alarms_in_a_year)
    found = []
    for position, one in enumerate(series):
        mine = Evidence(known.up[position, : len(one)], known.down[position, : len(one)])
        found.append(_Asked(mine, shifts_in(mine, one, float(usual[position]))))
    return found


def _beside(days: Sequence[LabelledDay], whole: Sequence[LabelledDay], *, shares: bool) -> _Beside:
    """The days on which both the slice and others have labelled answers."""
    all_of = {day.day: day for day in whole}
    pairs = [(day, _others(all_of[day.day], day, shares=shares)) for day in days if day.day in all_of]
    mine, others = [day for day, rest in pairs if rest.n > 0], [rest for _, rest in pairs if rest.n > 0]
    off, weight = differences(mine, shares=shares), weights(mine)
    return _Beside(mine, others, weight * off, weight * (off - differences(others, shares=shares)))


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
    """The newest alarm that stands by the slice alone and beside all others, the same way, where it is not negligible."""
    n = counts(one.days)
    mine, rest = (np.array([day.observed - day.predicted for day in days]) for days in (one.days, one.others))
    found = []
    for up in (True, False):
        own = [alarm for alarm in off.alarms if alarm.up == up and still_stands(alarm, n * mine)]
        beside = [alarm for alarm in apart.alarms if alarm.up == up and still_stands(alarm, n * (mine - rest))]
        if own and beside:
            one_off = _Off(max(own[-1].since, beside[-1].since), max(own[-1].found, beside[-1].found), up)
            found += [one_off] if _matters(one, one_off) else []
    return max(found, key=lambda alarm: alarm.found, default=None)


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
    return Verdict(passed=False, reason=reason, observed=observed, limit=1.0, rows=rows, remedy="recalibrate")


def _least(off: Evidence, apart: Evidence) -> float:
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
