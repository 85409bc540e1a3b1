"""Whether an input changed from one day to the next by more than it ever did in training: a source that broke, or its unit.

Seasons move inputs far, but not overnight. So what a day is held against is the days before it, and how far it may be from them
is what neighbouring days of training showed: a column that is all null, or in another unit, is found on its first day.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import msgspec
import numpy as np

from checks.verdict import Verdict

# The next day steps back or stays; so long people are told.
STANDING_DAYS = 3
_DAYS_BEFORE = 3
_FEWEST_DAYS = 10
# Half more than the furthest of many days; of few, who have not seen much, about twice that.
_TIMES, _OF_FEW = 1.5, 14.0
_SURELY = 4.0


class DailyFigure(NamedTuple):
    """A mean over the rows of one day, and how many had one; `scatter` is the standard deviation of a row."""

    day: date
    value: float
    n: int
    scatter: float


def inputs_make_no_step(
    figures: Mapping[str, Sequence[DailyFigure]], training: Mapping[str, Sequence[float]], fewest_rows: int
) -> Verdict:
    """Whether on none of the newest three days a figure was further from the three days before than days of training ever were.

    `figures` are those of each input by name, in order, and `training` the same figure on each day of training. Allowed is half
    more than the furthest of training, or twice as much of few days, and what so few rows scatter. Days with less than half of
    `fewest_rows` are not judged.
    """
    allowed = {name: _furthest(np.array(values)) for name, values in training.items() if len(values) >= _FEWEST_DAYS}
    steps = [
        (step / limit, name, days[position], before, limit)
        for name, days in figures.items()
        if name in allowed
        for position, step, before, limit in _steps(days, allowed[name], fewest_rows)
    ]
    rows = max((sum(day.n for day in days[-STANDING_DAYS:]) for days in figures.values()), default=0)
    if not steps:
        reason = f"no input can be held against the days before: that takes two days with {fewest_rows:,} rows, and training"
        return Verdict(passed=False, reason=reason, limit=1.0, rows=rows)
    worst, name, day, before, limit = max(steps, key=lambda one: one[0])
    broken = sorted({of for size, of, *_ in steps if size > 1})
    named = f"{', '.join(broken[:5])} changed overnight; " if broken else ""
    reason = (
        f"{named}furthest from the days before is {name}: {day.value:.4g} on {day.day}, {before:.4g} before, "
        f"where a day is within {limit:.3g}; {len({of for _, of, *_ in steps})} figures over {rows:,} rows"
    )
    return Verdict(
        passed=not broken, reason=reason, observed=worst, limit=1.0, rows=rows, remedy="fix the source" if broken else None
    )


def scores_make_no_step(figures: Mapping[str, Sequence[DailyFigure]], fewest_rows: int) -> Verdict:
    """The same of an arm's scores, held against its own days before the newest three: of training no scores are known."""
    earlier = {name: [day.value for day in days[:-STANDING_DAYS]] for name, days in figures.items()}
    found = inputs_make_no_step(figures, earlier, fewest_rows)
    if found.observed is None:
        days = _FEWEST_DAYS + STANDING_DAYS
        reason = f"scores cannot be held against those before: that takes {days} days with {fewest_rows:,} answers"
        return msgspec.structs.replace(found, reason=reason)
    return msgspec.structs.replace(found, remedy=None if found.passed else "roll back")


def _steps(days: Sequence[DailyFigure], furthest: float, fewest_rows: int) -> list[tuple[int, float, float, float]]:
    judged = [position for position, day in enumerate(days) if day.n * 2 >= fewest_rows]
    found = []
    for place, position in enumerate(judged):
        day = days[position]
        if days[-1].day - day.day >= timedelta(days=STANDING_DAYS) or not place:
            continue
        earlier = [days[one] for one in judged[max(0, place - _DAYS_BEFORE) : place]]
        before = float(np.mean([one.value for one in earlier]))
        error = np.sqrt(day.scatter**2 / day.n + sum(one.scatter**2 / one.n for one in earlier) / len(earlier) ** 2)
        found.append((position, abs(day.value - before), before, max(furthest + _SURELY * float(error), 1e-9)))
    return found


def _furthest(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """How far a day may be from the mean of the three before it, by how far any was."""
    before = np.convolve(values, np.ones(_DAYS_BEFORE) / _DAYS_BEFORE, mode="valid")[:-1]
    return (_TIMES + _OF_FEW / len(values)) * float(np.abs(values[_DAYS_BEFORE:] - before).max())
