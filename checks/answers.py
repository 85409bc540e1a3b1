"""Whether answers are those of a model that works: every class is answered, and hardly any answer is not the model's own."""

from collections.abc import Mapping, Sequence

import numpy as np

from checks.steps import DailyFigure
from checks.verdict import Remedy, Verdict

# How often a class must be expected on a day, for its absence to say something; and how many rows are too many at least.
_EXPECTED, _FEWEST = 12.0, 20.0
_RARE, _TIMES = 0.1, 3.0
_FEWEST_DAYS = 7
_TOGETHER = 2


def every_class_is_answered(shares: Mapping[str, Sequence[DailyFigure]]) -> Verdict:
    """Whether on the newest day no class was without an answer, and no rare one had far too many on the newest two.

    `shares` are those of the answers that say a class, by class and day, in order. A class is expected as often as on the median
    of the days before; it is rare when that is below a tenth, and far too many are three times the most of any day before.
    """
    problems, judged, rows, worst = list[str](), 0, 0, 0.0
    for name, days in shares.items():
        earlier = np.array([day.value for day in days[:-_TOGETHER]])
        if len(earlier) < _FEWEST_DAYS:
            continue
        judged += 1
        newest, usual, most = days[-1], float(np.median(earlier)), float(earlier.max())
        rows = max(rows, newest.n)
        if newest.value == 0 and usual * newest.n >= _EXPECTED:
            problems.append(f"none of {newest.n:,} answers of {newest.day} says {name!r}, {usual * newest.n:,.0f} are usual")
            worst = max(worst, usual * newest.n / _EXPECTED)
        last = days[-_TOGETHER:]
        enough = all(day.value * day.n >= _FEWEST for day in last)
        times = min(day.value for day in last) / most if most else float("inf")
        if usual < _RARE and enough and times > _TIMES:
            seen = " and ".join(f"{day.value:.1%}" for day in last)
            problems.append(
                f"{seen} of the answers of the newest two days say {name!r}, which is rare: {most:.1%} at most before"
            )
            worst = max(worst, times / _TIMES)
    if not judged:
        reason = f"how often each class is answered is not known: that takes {_FEWEST_DAYS + _TOGETHER} days of answers"
        return Verdict(passed=False, reason=reason, limit=1.0, rows=rows)
    reason = "; ".join(problems) or f"each of {judged} classes is answered about as often as before, over {rows:,} answers"
    return Verdict(
        passed=not problems, reason=reason, observed=worst, limit=1.0, rows=rows, remedy="roll back" if problems else None
    )


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
