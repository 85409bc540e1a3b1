"""Whether the same is asked again and again: by a client that is stuck, retries without end, or tries something out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from checks.traffic import STANDING_SPANS
from checks.verdict import Verdict

_DAY = timedelta(days=1)
_HISTORY_DAYS = 28
# Of the largest counts of days, so many are taken for odd days that are no limit to others.
_ODD_DAYS = 2
_TIMES, _MORE = 2, 3
_TOGETHER = 2


def nothing_comes_again_and_again(spans: pl.DataFrame, what: Sequence[str] = ("input", "key")) -> Verdict:
    """Whether in no two spans on end of the newest hour one input, or one key, came far more often than it ever did.

    `spans` has for each span of five minutes that had rows `start`, `rows`, and the largest count of one input and of one key.
    Allowed is twice the largest of the four weeks before the newest day, and three more; their two oddest days do not count.
    """
    if spans.is_empty():
        return Verdict(passed=False, reason="no request has been logged")
    spans = spans.sort("start")
    newest = spans["start"][-1]
    history = spans.filter(_is_history(newest))
    recent = spans.filter(pl.col("start") > newest - _DAY).tail(STANDING_SPANS)
    if history.is_empty():
        reason = "how often one input or key usually comes is not known: that takes more than a day of requests"
        return Verdict(passed=False, reason=reason, rows=int(spans["rows"].sum()))
    limits = {name: _limit(history, name) for name in what}
    worst = max(what, key=lambda name: _lasting(recent[name]) / limits[name])
    lasting, limit = _lasting(recent[worst]), limits[worst]
    above = recent.filter(pl.col(worst) > limit)
    since = f", since {above['start'][0]:%Y-%m-%d %H:%M} UTC" if lasting > limit else ""
    reason = f"one {worst} came {lasting:,.0f} times in each of two spans of five minutes{since}, {limit:,.0f} times are allowed"
    return Verdict(
        passed=lasting <= limit,
        reason=reason,
        observed=lasting,
        limit=limit,
        rows=int(recent["rows"].sum()),
        remedy="fix the source" if lasting > limit else None,
    )


def requests_come_once(spans: pl.DataFrame) -> Verdict:
    """Whether in no two spans on end of the newest hour far more requests were such as had come before in their span than ever.

    `spans` has `start`, `rows`, and in `repeated` how many rows have an input that an earlier one of the span has. It is limited
    as the counts above are, both spans together: each request sent twice is found even where few are sent.
    """
    known = spans.drop_nulls("repeated").sort("start")
    newest = None if known.is_empty() else known["start"][-1]
    history = known.clear() if newest is None else known.filter(_is_history(newest))
    if newest is None or history.is_empty():
        reason = "how many requests usually come again is not known: that takes more than a day of them"
        return Verdict(passed=False, reason=reason, rows=int(spans["rows"].sum()))
    recent = known.filter(pl.col("start") > newest - _DAY).tail(STANDING_SPANS)
    days = history.group_by(pl.col("start").dt.date(), maintain_order=True)
    daily = sorted((_together(day["repeated"]) for _, day in days), reverse=True)
    limit = daily[min(_ODD_DAYS, len(daily) - 1)] * _TIMES + _MORE
    observed = _together(recent["repeated"])
    reason = f"{observed:,.0f} requests of two spans of five minutes had come before in theirs, {limit:,.0f} are allowed"
    return Verdict(
        passed=observed <= limit,
        reason=reason,
        observed=observed,
        limit=limit,
        rows=int(recent["rows"].sum()),
        remedy="fix the source" if observed > limit else None,
    )


def _is_history(newest: datetime) -> pl.Expr:
    return pl.col("start").is_between(newest - _DAY * (_HISTORY_DAYS + 1), newest - _DAY, closed="left")


def _limit(history: pl.DataFrame, name: str) -> float:
    daily = history.group_by(pl.col("start").dt.date()).agg(pl.col(name).max())[name].sort(descending=True)
    return float(daily[min(_ODD_DAYS, len(daily) - 1)]) * _TIMES + _MORE


def _together(counts: pl.Series) -> float:
    """The most that two neighbours had together."""
    return float(max(map(sum, pairwise(counts)), default=0.0))


def _lasting(counts: pl.Series) -> float:
    """The most that two neighbours both had; of one alone nothing lasts."""
    both = [min(pair) for pair in pairwise(counts)]
    return float(max(both, default=0.0))
