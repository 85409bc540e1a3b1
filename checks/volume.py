"""Whether as many requests come as usual for the hour of the week."""

import polars as pl

from checks.verdict import Verdict

HOURS_OF_WEEK = 7 * 24
JUDGED_HOURS = HOURS_OF_WEEK
HISTORY_WEEKS = 12
_FEWEST_WEEKS = 4
_HOURS: dict[str, pl.DataType] = {"hour": pl.Datetime("us", "UTC"), "rows": pl.Int64()}


def volume_is_as_expected(logged: pl.DataFrame, examples: pl.DataFrame, deviations: float) -> Verdict:
    """Whether the newest week of logged hours had its usual rows.

    Both frames have one row for each hour that had any: `hour` (UTC, its start) and `rows`; `examples` is what the
    dataset knows from before the log began. An hour that is missing inside a frame had none; the first and the last
    logged hour may be cut off and are left out.

    Usual is the median of the last twelve same hours of the week before the judged ones, or that of the hour before or
    after: when clocks change, people come an hour earlier or later by UTC. Allowed are `deviations` times the largest
    of the median absolute deviation, the square root of the median, and 1.
    """
    if logged.is_empty():
        return Verdict(passed=False, reason="no request has been logged", limit=deviations)
    judged = _judged(logged, examples)
    rows = int(judged["rows"].sum())
    if judged.is_empty():
        reason = f"no hour can be judged: that takes {_FEWEST_WEEKS} earlier weeks, logged or in the dataset"
        return Verdict(passed=False, reason=reason, limit=deviations, rows=int(logged["rows"].sum()))
    beyond = pl.max_horizontal(pl.col("low") - pl.col("rows"), pl.col("rows") - pl.col("high"), pl.lit(0.0))
    scored = judged.with_columns(off_by=beyond / pl.col("scale")).sort("off_by", "hour", descending=[True, False])
    off = scored.filter(pl.col("off_by") > deviations)
    worst = scored.row(0, named=True)
    allowed = deviations * worst["scale"]
    reason = (
        f"{off.height} of {scored.height} hours are off; furthest is {worst['hour']:%Y-%m-%d %H:%M} UTC with {worst['rows']:,} "
        f"rows, expected {max(0.0, worst['low'] - allowed):,.0f} to {worst['high'] + allowed:,.0f}, over {rows:,} rows"
    )
    return Verdict(passed=off.is_empty(), reason=reason, observed=worst["off_by"], limit=deviations, rows=rows)


def _judged(logged: pl.DataFrame, examples: pl.DataFrame) -> pl.DataFrame:
    """The newest logged hours with what is usual for them: columns `hour`, `rows`, `low`, `high`, `scale`."""
    every = _every_hour(logged)
    hours = every.slice(1, max(0, every.height - 2))
    earlier = _every_hour(examples.filter(pl.col("hour") < every["hour"].first()))
    judged = hours.tail(JUDGED_HOURS)
    history = pl.concat([earlier, hours.head(hours.height - judged.height)])
    usual = _usual_week(history.with_columns(_hour_of_week()).group_by("hour_of_week").tail(HISTORY_WEEKS))
    return judged.with_columns(_hour_of_week()).join(usual, on="hour_of_week").sort("hour")


def _usual_week(recent: pl.DataFrame) -> pl.DataFrame:
    """For each hour of the week the least and the most that is usual around it, and the scale of its scatter."""
    hours = (
        recent.with_columns(usual=pl.col("rows").median().over("hour_of_week"))
        .group_by("hour_of_week")
        .agg(pl.col("usual").first(), deviation=(pl.col("rows") - pl.col("usual")).abs().median(), weeks=pl.len())
        .filter(pl.col("weeks") >= _FEWEST_WEEKS)
    )
    around = [hours.select((pl.col("hour_of_week") + shift) % HOURS_OF_WEEK, near="usual") for shift in (-1, 0, 1)]
    near = pl.concat(around).group_by("hour_of_week").agg(low=pl.col("near").min(), high=pl.col("near").max())
    scale = pl.max_horizontal("deviation", pl.col("usual").sqrt(), pl.lit(1.0))
    return hours.join(near, on="hour_of_week").select("hour_of_week", "low", "high", scale=scale)


def _every_hour(hours: pl.DataFrame) -> pl.DataFrame:
    """From the first hour to the last without a gap: an hour without rows had none."""
    typed = hours.select(pl.col(name).cast(dtype) for name, dtype in _HOURS.items()).sort("hour")
    if typed.is_empty():
        return typed
    return typed.upsample("hour", every="1h").with_columns(pl.col("rows").fill_null(0))


def _hour_of_week() -> pl.Expr:
    return ((pl.col("hour").dt.weekday().cast(pl.Int32) - 1) * 24 + pl.col("hour").dt.hour()).alias("hour_of_week")
