"""Requests as they come: by a timetable, as people do, or in bursts; counts of each span of five minutes."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl

from checks.traffic import JUDGED_SPANS, SPAN, SPANS, alarms, judged_spans

LOG_FROM = datetime(2013, 7, 1, tzinfo=timezone.utc)
HISTORY_DAYS = 8 * 7
_A_DAY = timedelta(days=1)


def spans(first: datetime, days: int, seed: int, mean: float = 10.0, bursts: float = 0.0) -> pl.DataFrame:
    """By day `mean` requests at noon, half of that on Sundays and none at night; `bursts` is the variance that spans share."""
    generator = np.random.default_rng(seed)
    times = pl.datetime_range(first, first + days * _A_DAY, SPAN, closed="left", time_zone="UTC", eager=True)
    hour = (times.dt.hour() + times.dt.minute() / 60).to_numpy()
    usual = mean * np.clip(np.sin((hour - 5) / 19 * np.pi), 0, None) * np.where(times.dt.weekday().to_numpy() == 7, 0.5, 1.0)
    if bursts:
        usual = usual * generator.gamma(1 / bursts, bursts, len(usual))
    rows = generator.poisson(usual)
    return pl.DataFrame({"start": times.cast(SPANS["start"]), "rows": rows}, schema_overrides=SPANS).filter(pl.col("rows") > 0)


def days_judged(stream: pl.DataFrame, first: datetime, days: int, time_zone: str = "UTC") -> Iterator[pl.DataFrame]:
    """Each day of a stream as it is judged when it ends, from what came before."""
    for day in range(days):
        end = first + (day + 1) * _A_DAY
        yield judged_spans(stream.filter(pl.col("start") < end), stream.clear(), end, time_zone)


def alerts_a_week(judged: list[pl.DataFrame]) -> float:
    """How many times a week something is said to be wrong: alarms within a day of each other are one."""
    moments = sorted(day["start"][one.found] for day in judged for one in alarms(day))
    apart = [now for before, now in zip([None, *moments], moments, strict=False) if before is None or now - before > _A_DAY]
    return len(apart) / (len(judged) / 7)


def found_within(judged: list[pl.DataFrame], times: float, spans_later: int, least: float = 6.0, seed: int = 0) -> float:
    """In which share of 300 incidents, at moments with this many usual rows in two spans, an alarm comes within so many spans.

    From one span on there are so many `times` the rows that came.
    """
    generator = np.random.default_rng(seed)
    found: list[bool] = []
    while len(found) < 300:
        day = judged[generator.integers(len(judged))]
        begin, usual = int(generator.integers(12, JUDGED_SPANS - 12)), day["usual"]
        if day.height < JUDGED_SPANS or usual[begin] + usual[begin + 1] < least:
            continue
        rows = day["rows"].to_numpy().copy()
        rows[begin:] = np.round(rows[begin:] * times)
        later = [one.found for one in alarms(day.with_columns(rows=pl.Series(rows))) if one.found >= begin]
        found.append(bool(later) and later[0] < begin + spans_later)
    return float(np.mean(found))
