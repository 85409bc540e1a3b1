"""Whether labels come when they usually do: each day's labelled share against that of earlier days at the same age."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from checks.verdict import Verdict

AGES = (1, 2, 3, 7, 14, 28)
_FEWEST_DAYS = 7
_LATE = 0.5
# So many labels must be expected, for half of them to be missing not by chance.
_EXPECTED = 20.0
_TOGETHER = 2


class AgedShare(NamedTuple):
    """What share of the `n` answers of a day had its label when the day was over for `age` days."""

    day: date
    age: int
    share: float
    n: int


def labels_arrive_as_usual(shares: Sequence[AgedShare], newest: date) -> Verdict:
    """Whether at no age two days on end, the newest of that age, have less than half of the labels that days had before.

    `newest` is the day up to which is known what arrived.
    """
    rows = sum(one.n for one in shares if one.age == AGES[0])
    judged, late, worst = 0, list[str](), 1.0
    for age in AGES:
        days = sorted((one for one in shares if one.age == age), key=lambda one: one.day)
        last, earlier = days[-_TOGETHER:], days[:-_TOGETHER]
        if len(earlier) < _FEWEST_DAYS or newest - last[-1].day > timedelta(days=age + _TOGETHER + 1):
            continue
        usual = float(np.median([one.share for one in earlier]))
        if usual * min(one.n for one in last) < _EXPECTED:
            continue
        judged += 1
        found = max(one.share for one in last) / usual
        worst = min(worst, found)
        if found < _LATE:
            seen = " and ".join(f"{one.share:.0%} of {one.n:,}" for one in last)
            late.append(
                f"after {age} days {seen} answers of {last[0].day} and {last[-1].day} have a label, {usual:.0%} are usual"
            )
    if not judged:
        reason = (
            f"how soon labels usually come is not known: that takes {_FEWEST_DAYS + _TOGETHER} days with {_EXPECTED:g} labels"
        )
        return Verdict(passed=False, reason=reason, limit=_LATE, rows=rows)
    oldest = [one for one in shares if one.age == max(one.age for one in shares)]
    never = 1 - float(np.average([one.share for one in oldest], weights=[one.n for one in oldest]))
    reason = "; ".join(late) or f"labels come as usual; {never:.1%} of the answers have none {oldest[0].age} days later"
    return Verdict(
        passed=not late,
        reason=f"{reason}, over {rows:,} answers",
        observed=worst,
        limit=_LATE,
        rows=rows,
        remedy="fix the source" if late else None,
    )
