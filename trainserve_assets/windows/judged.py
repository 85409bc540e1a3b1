"""What the checks judge: the newest windows, as the pure decisions take them."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from checks.days import LabelledDay, matured
from checks.drift import FeatureDay
from lake.input_schema import InputSchema
from trainserve_assets.logged import loss_name
from trainserve_assets.windows.holdouts import HOLDOUT
from trainserve_assets.windows.inputs import PSI, PSI_LIMIT
from trainserve_assets.windows.metrics import OF_PACKAGE, OF_PARAMETERS, judged_names

JUDGED_DAYS = 28
ARM_DAYS = 7
_DAY = timedelta(days=1)


def active_arms(windows: pl.DataFrame) -> list[str]:
    """The arms that answered on one of the newest seven days of event time, the busiest first."""
    answered = _newest_days(windows.filter(pl.col("metric") == "answered", pl.col("value") > 0), ARM_DAYS)
    busiest = answered.group_by("arm").agg(pl.col("value").sum()).sort("value", "arm", descending=[True, False])
    return busiest["arm"].to_list()


class Served(NamedTuple):
    """The package that an arm answered with last, and the first day of event time on which no other did."""

    package_digest: str
    first: date


def served(figures: pl.DataFrame) -> dict[str, Served]:
    """What each arm serves, as the log says."""
    counts = figures.filter(pl.col("metric") == OF_PACKAGE).with_columns(day=pl.col("span_start_utc").dt.date())
    packages = (
        counts.group_by("arm", "slice")
        .agg(first=pl.col("day").min(), last=pl.col("day").max(), newest=pl.col("labels_as_of_utc").max())
        .sort("newest", "slice")
    )
    found: dict[str, Served] = {}
    for (arm,), mine in packages.group_by("arm", maintain_order=True):
        *others, newest = mine.iter_rows(named=True)
        found[str(arm)] = Served(newest["slice"], max([newest["first"], *(one["last"] + _DAY for one in others)]))
    return found


def unchanged_since(figures: pl.DataFrame, arm: str, effects: Callable[[int], bytes]) -> tuple[date, bool]:
    """The first day of event time since which no parameter changed what this arm answers; whether now none does.

    `effects` gives for a version of the parameters what changes scores in it, and nothing where nothing does.
    """
    counts = figures.filter(pl.col("metric") == OF_PARAMETERS, pl.col("arm") == arm, pl.col("slice") != "none")
    days = counts.group_by(version=pl.col("slice").cast(pl.Int64)).agg(pl.col("span_start_utc").dt.date().max().alias("last"))
    now, since = b"", date.min
    for row in days.sort("version", descending=True).with_row_index().iter_rows(named=True):
        found = effects(row["version"])
        now = found if row["index"] == 0 else now
        if found != now:
            since = max(since, row["last"] + _DAY)
    return since, not now


def labelled_days(figures: pl.DataFrame, arm: str, schema: InputSchema, since: date, holdout_of: str | None) -> list[LabelledDay]:
    """The arm's matured days of event time from this one on; before them those of a package's holdout."""
    day = pl.col("span_start_utc").dt.date()
    mine = figures.filter(pl.col("arm") == arm, day >= since)
    before = figures.filter(pl.col("arm") == HOLDOUT, pl.col("slice") == (holdout_of or ""), day < since)
    return [*matured(_days(before, schema)), *matured(_days(mine, schema))]


def _days(figures: pl.DataFrame, schema: InputSchema) -> list[LabelledDay]:
    fields = judged_names(schema)
    mine = figures.filter(pl.col("metric").is_in([*fields])).sort("span_start_utc", "metric")
    days = []
    for (start,), of_day in mine.group_by("span_start_utc", maintain_order=True):
        values = {fields[row["metric"]]: row["value"] for row in of_day.iter_rows(named=True)}
        if len(values) == len(fields):
            n = of_day.filter(pl.col("metric") == loss_name(schema))["n"].item()
            days.append(LabelledDay(day=start.date(), n=n, **values))
    return days


def feature_days(windows: pl.DataFrame, arm: str) -> list[FeatureDay]:
    """The arm's stability indices, with their limits, on the newest week of event time."""
    mine = _newest_days(windows.filter(pl.col("arm") == arm, pl.col("metric").is_in([PSI, PSI_LIMIT])), ARM_DAYS)
    wide = mine.pivot("metric", index=["span_start_utc", "slice", "n"], values="value").sort("span_start_utc", "slice")
    return [
        FeatureDay(feature=row["slice"], day=row["span_start_utc"].date(), index=row[PSI], limit=row[PSI_LIMIT], n=row["n"])
        for row in wide.iter_rows(named=True)
    ]


def _newest_days(windows: pl.DataFrame, days: int) -> pl.DataFrame:
    newest = pl.col("span_start_utc").max()
    return windows.filter(pl.col("span_start_utc") > newest - days * _DAY).sort("span_start_utc", "metric")
