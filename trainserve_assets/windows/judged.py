"""What the checks judge: the newest windows, as the pure decisions take them."""

from datetime import date, timedelta
from typing import NamedTuple

import polars as pl

from checks.days import LabelledDay, matured
from checks.drift import FeatureDay
from lake.input_schema import InputSchema
from trainserve_assets.logged import loss_name
from trainserve_assets.windows.inputs import PSI, PSI_LIMIT

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


def served(predictions: pl.LazyFrame) -> dict[str, Served]:
    """What each arm serves, as the log says."""
    packages = (
        predictions.filter(pl.col("outcome") == "answered")
        .group_by("arm", "package_digest")
        .agg(first=pl.col("event_date").min(), last=pl.col("event_date").max(), newest=pl.col("received_at_utc").max())
        .sort("newest", "package_digest")
        .collect()
    )
    found: dict[str, Served] = {}
    for (arm,), mine in packages.group_by("arm", maintain_order=True):
        *others, newest = mine.iter_rows(named=True)
        found[str(arm)] = Served(newest["package_digest"], max([newest["first"], *(one["last"] + _DAY for one in others)]))
    return found


def labelled_days(windows: pl.DataFrame, arm: str, schema: InputSchema, since: date) -> list[LabelledDay]:
    """The arm's matured days of event time from this one on, as far as windows are read back."""
    loss = loss_name(schema)
    fields = {"labelled_share": "labelled_share", loss: "loss", f"base_rate_{loss}": "base_loss"}
    if schema.task != "multiclass":
        fields |= {"mean_labelled_score": "predicted", "label_rate": "observed"}
    mine = windows.filter(
        pl.col("arm") == arm, pl.col("metric").is_in([*fields]), pl.col("span_start_utc").dt.date() >= since
    ).sort("span_start_utc", "metric")
    days = []
    for (start,), figures in mine.group_by("span_start_utc", maintain_order=True):
        values = {fields[row["metric"]]: row["value"] for row in figures.iter_rows(named=True)}
        if len(values) == len(fields):
            n = figures.filter(pl.col("metric") == loss)["n"].item()
            days.append(LabelledDay(day=start.date(), n=n, **values))
    return matured(days)


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
