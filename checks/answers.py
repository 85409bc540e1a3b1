"""Whether answers are those of a model that works: every class is answered, and hardly any answer is not the model's own."""

from collections.abc import Mapping, Sequence

import numpy as np

from checks.steps import DailyFigure
from checks.verdict import Remedy, Verdict

# How many rows are too many at least; and how seldom, on a sound day, any class is told to be missing or too frequent.
_FEWEST, _FALSE_ALARM_RATE = 20.0, 0.001
_RARE, _TIMES = 0.1, 3.0
_FEWEST_DAYS = 7
_TOGETHER = 2


def every_class_is_answered(shares: Mapping[str, Sequence[DailyFigure]]) -> Verdict:
    """Whether on the newest day no class was without an answer, and no rare one had far too many on the newest two.

    `shares` are those of the answers that say a class, by class and day, in order. A day with less than half of the usual rows
    has only begun, and is not judged. What may be expected follows from the days before: see `_expected`. A class is missing
    when the least share that a sound day has would still have been said; it is rare when below a tenth is usual, and has far too
    many above the greatest such share and three times the most of any day before.
    """
    problems, judged, rows, worst = list[str](), 0, 0, 0.0
    for name, all_days in shares.items():
        days = _begun_left_out(all_days)
        earlier = days[:-_TOGETHER]
        if len(earlier) < _FEWEST_DAYS:
            continue
        judged += 1
        newest, values = days[-1], [day.value for day in earlier]
        usual, most = float(np.median(values)), max(values)
        least, greatest = _expected(earlier, _FALSE_ALARM_RATE / len(shares) / 2)
        rows = max(rows, newest.n)
        surely = -np.log(_FALSE_ALARM_RATE / len(shares) / 2)
        if newest.value == 0 and least * newest.n >= surely:
            problems.append(
                f"none of {newest.n:,} answers of {newest.day} says {name!r}, {usual * newest.n:,.0f} are usual "
                f"and {least * newest.n:,.0f} the least that days as they differ have"
            )
            worst = max(worst, least * newest.n / float(surely))
        last = days[-_TOGETHER:]
        enough = all(day.value * day.n >= _FEWEST for day in last)
        limit = max(greatest, _TIMES * most)
        if usual < _RARE and enough and min(day.value for day in last) > limit:
            seen = " and ".join(f"{day.value:.1%}" for day in last)
            problems.append(
                f"{seen} of the answers of the newest two days say {name!r}, which is rare: {most:.1%} at most before"
            )
            worst = max(worst, min(day.value for day in last) / limit)
    if not judged:
        reason = f"how often each class is answered is not known: that takes {_FEWEST_DAYS + _TOGETHER} days of answers"
        return Verdict(passed=False, reason=reason, limit=1.0, rows=rows)
    reason = "; ".join(problems) or f"each of {judged} classes is answered about as often as before, over {rows:,} answers"
    return Verdict(
        passed=not problems, reason=reason, observed=worst, limit=1.0, rows=rows, remedy="roll back" if problems else None
    )


def _begun_left_out(days: Sequence[DailyFigure]) -> Sequence[DailyFigure]:
    has_begun = len(days) > 1 and days[-1].n * 2 < np.median([day.n for day in days[:-1]])
    return days[:-1] if has_begun else days


def _expected(days: Sequence[DailyFigure], rate: float) -> tuple[float, float]:
    """The shares that a day like these falls below, or rises above, with this probability.

    Rows of one day are not independent: on fine days nothing is late. So the days' log odds are taken for normal, known from so
    many days, and scatter at least as their rows do; half a row is added to each side, so that a day with none has odds too.
    """
    from scipy.special import stdtrit

    n = np.array([day.n for day in days], dtype=np.float64)
    some = np.array([day.value for day in days]) * n + 0.5
    others = n + 1 - some
    odds = np.log(some / others)
    of_rows = float(np.median(1 / some + 1 / others))
    scatter = np.sqrt(max(float(odds.var(ddof=1)), of_rows) * (1 + 1 / len(days)))
    away = -float(stdtrit(len(days) - 1, rate)) * scatter
    return float(1 / (1 + np.exp(away - odds.mean()))), float(1 / (1 + np.exp(-away - odds.mean())))


def shares_stay_small(
    shares: Mapping[str, Sequence[DailyFigure]],
    greatest: Mapping[str, float],
    fewest_rows: int,
    remedies: Mapping[str, Remedy],
) -> Verdict:
    """Whether on no two days on end, the newest of them, a share was above what is allowed for it, in `greatest` by its name.

    `remedies` has, by its name too, what helps where it was; that of the share that is furthest above counts.
    """
    known = {name: days for name, days in shares.items() if days and days[-1].n * 2 >= fewest_rows}
    rows = max((days[-1].n for days in known.values()), default=0)
    if not known:
        return Verdict(passed=False, reason=f"a day with {fewest_rows:,} answers is needed", limit=1.0, rows=rows)
    lasting = {
        name: min(day.value for day in days[-_TOGETHER:]) if len(days) >= _TOGETHER else 0.0 for name, days in known.items()
    }
    above = [name for name, share in lasting.items() if share > greatest[name]]
    worst = max(known, key=lambda name: lasting[name] / max(greatest[name], 1e-9))
    named = ", ".join(f"{name}: {lasting[name]:.1%}, allowed are {greatest[name]:.1%}" for name in above or [worst])
    return Verdict(
        passed=not above,
        reason=f"{'too many on two days on end' if above else 'furthest on two days on end'}: {named}; {rows:,} answers",
        observed=lasting[worst],
        limit=greatest[worst],
        rows=rows,
        remedy=remedies[worst] if above else None,
    )
