"""Whether requests come as they usually do at this time of the week: too few, too many, none at all.

Each span of five minutes is held against the same span of the week, by the clock of those who ask, in the weeks before. Two
sums of likelihood ratios (Page's) grow while it looks more like silence, or like twice as many, and begin anew at 0. How much
a span scatters is learnt from those weeks, timetables less than people, bursts more; and so is how far one span is like those
around it, which of people say more than the same span of few weeks. Twice as many are also seen at once, when two spans together
had far more than those around them had in any of eight weeks.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.verdict import Verdict

SPAN = timedelta(minutes=5)
SPANS_OF_WEEK = 7 * 24 * 12
JUDGED_SPANS = 24 * 12
# An alarm stands for an hour after its newest evidence.
STANDING_SPANS = 12
_WEEKS, _MOST_WEEKS, _FEWEST_WEEKS = 4, 8, 4
# In shares of what is usual: fewer than the first is no silence, more than the second not yet too many.
_FEWER, _MORE, _SILENCE, _TWICE = 0.6, 1.2, 0.05, 2.0
_LEVEL_FEW, _LEVEL_MANY = 8.0, 12.0
_AT_ONCE, _ROWS_AT_ONCE = 1.2, 3.0
_ROWS_OF_SCATTER = 9.0
# Spans within so many of each other are alike, where no timetable says otherwise.
_AROUND = 4
# Nobody can be sure that nothing ever comes in a span, nor that a timetable is kept to the minute.
_LEAST_USUAL, _LEAST_SCATTER = 0.25, 0.4

Floats = npt.NDArray[np.float64]
SPANS: dict[str, pl.DataType] = {"start": pl.Datetime("us", "UTC"), "rows": pl.Int64()}


class Alarm(NamedTuple):
    """The position of the span that raised it, of the one since which it seems to be so, and whether there are too many."""

    found: int
    since: int
    many: bool


def requests_come_as_usual(logged: pl.DataFrame, examples: pl.DataFrame, until: datetime, time_zone: str = "UTC") -> Verdict:
    """Whether no alarm was raised in the newest hour, up to `until`, of event time.

    Both frames have one row for each span that had any: `start` (UTC) and `rows`; `examples` is what the dataset knows from
    before the log began. A span that is missing inside a frame, or before `until`, had none. The first may be cut off.
    """
    if logged.is_empty():
        return Verdict(passed=False, reason="no request has been logged")
    judged = judged_spans(logged, examples, until, time_zone)
    if judged.is_empty():
        reason = f"no span can be judged: that takes {_FEWEST_WEEKS} earlier weeks, logged or in the dataset"
        return Verdict(passed=False, reason=reason, rows=int(logged["rows"].sum()))
    seen, usual = judged["rows"].to_numpy().astype(float), judged["usual"].to_numpy()
    standing = [one for one in alarms(judged) if one.found >= judged.height - STANDING_SPANS]
    first = standing[-1].since if standing else max(0, judged.height - STANDING_SPANS)
    rows, expected = float(seen[first:].sum()), float(usual[first:].sum())
    times = f"from {judged['start'][first]:%Y-%m-%d %H:%M} to {judged['start'][-1] + SPAN:%H:%M} UTC"
    what = "requests are as usual"
    if standing:
        what = "too many requests" if standing[-1].many else "too few requests" if rows else "no request came"
    return Verdict(
        passed=not standing,
        reason=f"{what}: {rows:,.0f} {times}, where {expected:,.1f} are usual at this time of the week",
        observed=rows,
        limit=expected,
        rows=int(seen.sum()),
        remedy="fix the source" if standing else None,
    )


def judged_spans(logged: pl.DataFrame, examples: pl.DataFrame, until: datetime, time_zone: str) -> pl.DataFrame:
    """The newest day of spans, oldest first: `start`, `rows`, `usual`, `most` (of this and the span before), `scatter`."""
    every = _every_span(logged, until).slice(1)
    judged = every.tail(JUDGED_SPANS)
    earlier = _every_span(examples.filter(pl.col("start") < logged["start"].min()), None)
    history = pl.concat([_paired(earlier, time_zone), _paired(every.head(every.height - judged.height), time_zone)])
    return _paired(judged, time_zone).join(_usual_week(history), on="slot").sort("start").drop("slot", "pair")


def alarms(judged: pl.DataFrame) -> list[Alarm]:
    """All alarms in these spans, in order."""
    seen, usual, most, scatter = (judged[name].to_numpy().astype(float) for name in ("rows", "usual", "most", "scatter"))
    some = np.maximum(usual, _LEAST_USUAL)
    many = (seen * np.log(_TWICE / _MORE) - some * (_TWICE - _MORE)) / scatter
    few = (seen * np.log(_SILENCE / _FEWER) - usual * (_SILENCE - _FEWER)) / scatter
    pair = seen + np.concatenate([[0.0], seen[:-1]])
    at_once = pair > _AT_ONCE * most + _ROWS_AT_ONCE + _ROWS_OF_SCATTER * (scatter - _LEAST_SCATTER)
    found = [Alarm(int(one), max(0, int(one) - 1), many=True) for one in np.flatnonzero(at_once)]
    for ratios, level, is_many in ((many, _LEVEL_MANY, True), (few, _LEVEL_FEW, False)):
        total, since = 0.0, 0
        for position, ratio in enumerate(ratios):
            if total == 0.0:
                since = position
            total = max(0.0, total + float(ratio))
            if total > level:
                found.append(Alarm(position, since, is_many))
                total = 0.0
    return sorted(found)


def _usual_week(history: pl.DataFrame) -> pl.DataFrame:
    """For each span of the week what is usual, the most that it and its neighbours had in a pair of spans, and the scatter."""
    rows = pl.col("rows").cast(pl.Float64)
    slots = (
        history.group_by("slot", maintain_order=True)
        .tail(_MOST_WEEKS)
        .group_by("slot")
        .agg(own=rows.tail(_WEEKS).mean(), variance=rows.tail(_WEEKS).var(), most=pl.col("pair").max(), weeks=pl.len())
        .filter(pl.col("weeks") >= _FEWEST_WEEKS)
    )
    near = _around(slots, _AROUND).group_by("slot").agg(near=pl.col("own").mean())
    most = _around(slots, 1).group_by("slot").agg(pl.col("most").max())
    week = slots.drop("most", "weeks").join(near, on="slot").join(most, on="slot")
    scatter, own = _scatter_and_part(week)
    usual = own * pl.col("own") + (1 - own) * pl.col("near")
    return week.select("slot", "most", usual=usual, scatter=pl.lit(max(scatter, _LEAST_SCATTER)))


def _scatter_and_part(week: pl.DataFrame) -> tuple[float, float]:
    """By how many times its rows a span varies from week to week, and how much of its own mean says something of that span.

    Means of a few weeks differ from those around them by what weeks scatter alone, or by more where there is a timetable.
    """
    rows = max(float(week["near"].sum()), 1.0)
    scatter = float(week["variance"].sum()) / rows
    apart = float(((week["own"] - week["near"]) ** 2).sum()) / rows
    by_chance = scatter / _WEEKS * 2 * _AROUND / (2 * _AROUND + 1)
    return scatter, max(0.0, 1 - by_chance / apart) if apart else 0.0


def _around(slots: pl.DataFrame, distance: int) -> pl.DataFrame:
    """Each span of the week once for each of those so near to it."""
    shifts = range(-distance, distance + 1)
    return pl.concat(slots.with_columns((pl.col("slot") + shift) % SPANS_OF_WEEK) for shift in shifts)


def _paired(spans: pl.DataFrame, time_zone: str) -> pl.DataFrame:
    """Beside each span its place in the week of this clock, and the rows of it and the one before."""
    local = pl.col("start").dt.convert_time_zone(time_zone)
    minutes = (
        (local.dt.weekday().cast(pl.Int32) - 1) * 1440 + local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute().cast(pl.Int32)
    )
    return spans.with_columns(slot=minutes // 5, pair=pl.col("rows") + pl.col("rows").shift(1, fill_value=0))


def _every_span(spans: pl.DataFrame, until: datetime | None) -> pl.DataFrame:
    """From the first span to the last, or the last that has ended by then, without a gap: a span without rows had none."""
    typed = spans.select(pl.col(name).cast(dtype) for name, dtype in SPANS.items()).sort("start")
    if typed.is_empty():
        return typed
    last = typed["start"][-1] if until is None else until - SPAN
    every = pl.DataFrame({"start": pl.datetime_range(typed["start"][0], last, SPAN, time_zone="UTC", eager=True)})
    return every.select(pl.col("start").cast(SPANS["start"])).join(typed, on="start", how="left").sort("start").fill_null(0)
