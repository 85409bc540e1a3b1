"""What the checks judge: the newest windows, as the pure decisions take them."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import polars as pl

from checks.days import LabelledDay, matured
from checks.drift import FeatureDay
from checks.label_arrival import AGES, AgedShare
from checks.steps import DailyFigure
from lake.input_schema import InputSchema
from trainserve_assets.logged import loss_name
from trainserve_assets.windows.holdouts import HOLDOUT
from trainserve_assets.windows.inputs import MEAN, NULLS, PSI, PSI_LIMIT, SCATTER, UNKNOWN
from trainserve_assets.windows.metrics import CLASS_SHARE, OF_PACKAGE, OF_PARAMETERS, WHOLE, judged_names
from trainserve_assets.windows.slices import holdout_prefix

JUDGED_DAYS = 28
ARM_DAYS = 7
STEP_DAYS = 14
_DAY = timedelta(days=1)
# What figures of scores are called, and how much more than a mean they scatter, were scores normal.
_SCORES = {"mean_score": ("mean score", 1.0), "score_p10": ("lowest tenth", 1.71), "score_p90": ("highest tenth", 1.71)}
_TENTHS_APART = 2.56


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
    of_log, of_holdout = _judged(figures, arm, since)
    before = _days(of_holdout.filter(pl.col("slice") == (holdout_of or "")), schema)
    mine = _days(of_log.filter(pl.col("slice") == WHOLE), schema)
    return [day for found in (before, mine) for days in found.values() for day in matured(days)]


def sliced_days(
    figures: pl.DataFrame, arm: str, schema: InputSchema, since: date, holdout_of: str | None, fields: Sequence[str]
) -> dict[str, list[LabelledDay]]:
    """The same of each slice by these fields, by its name."""
    of_log, of_holdout = _judged(figures, arm, since)
    prefix = holdout_prefix(holdout_of or "")
    before = of_holdout.filter(pl.col("slice").str.starts_with(prefix)).with_columns(pl.col("slice").str.strip_prefix(prefix))
    found: dict[str, list[LabelledDay]] = {}
    is_mine = pl.any_horizontal(pl.lit(value=False), *(pl.col("slice").str.starts_with(f"{name}=") for name in fields))
    for part in (before, of_log):
        for name, days in _days(part.filter(is_mine), schema).items():
            found.setdefault(name, []).extend(matured(days))
    return found


def _judged(figures: pl.DataFrame, arm: str, since: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The arm's figures from this day on, and those of all holdouts before it."""
    is_since = pl.col("span_start_utc").dt.date() >= since
    return figures.filter(pl.col("arm") == arm, is_since), figures.filter(pl.col("arm") == HOLDOUT, ~is_since)


def _days(figures: pl.DataFrame, schema: InputSchema) -> dict[str, list[LabelledDay]]:
    """The days that have all figures, by slice."""
    fields, keys = judged_names(schema), ["slice", "span_start_utc"]
    judged = figures.filter(pl.col("metric").is_in([*fields]))
    wide = judged.pivot("metric", on_columns=[*fields], index=keys, values="value")
    n = figures.filter(pl.col("metric") == loss_name(schema)).select(*keys, "n")
    days = wide.drop_nulls().join(n, on=keys).sort(keys).rename(fields)
    found: dict[str, list[LabelledDay]] = {}
    for row in days.select("slice", "n", *fields.values(), day=pl.col("span_start_utc").dt.date()).iter_rows(named=True):
        found.setdefault(row.pop("slice"), []).append(LabelledDay(**row))
    return found


def feature_days(windows: pl.DataFrame, arm: str) -> list[FeatureDay]:
    """The arm's stability indices, with their limits, on the newest week of event time."""
    mine = _newest_days(windows.filter(pl.col("arm") == arm, pl.col("metric").is_in([PSI, PSI_LIMIT])), ARM_DAYS)
    wide = mine.pivot("metric", index=["span_start_utc", "slice", "n"], values="value").sort("span_start_utc", "slice")
    return [
        FeatureDay(feature=row["slice"], day=row["span_start_utc"].date(), index=row[PSI], limit=row[PSI_LIMIT], n=row["n"])
        for row in wide.iter_rows(named=True)
    ]


def input_days(windows: pl.DataFrame, arm: str) -> dict[str, list[DailyFigure]]:
    """The arm's means and shares of nulls by day of the newest two weeks of event time, by the feature and what it is."""
    mine = _newest_days(windows.filter(pl.col("arm") == arm, pl.col("metric").is_in([MEAN, SCATTER, NULLS])), STEP_DAYS)
    found: dict[str, list[DailyFigure]] = {}
    wide = mine.pivot("metric", on_columns=[MEAN, SCATTER, NULLS], index=["span_start_utc", "slice", "n"], values="value")
    for row in wide.sort("span_start_utc", "slice").iter_rows(named=True):
        day, nulls, known = row["span_start_utc"].date(), row[NULLS], row["n"] - round(row["n"] * row[NULLS])
        share = DailyFigure(day, nulls, row["n"], (nulls * (1 - nulls)) ** 0.5)
        found.setdefault(f"{row['slice']}, nulls", []).append(share)
        if row[MEAN] is not None:
            mean = DailyFigure(day, row[MEAN], max(known, 1), row[SCATTER] or 0.0)
            found.setdefault(f"{row['slice']}, mean", []).append(mean)
    return found


def class_days(windows: pl.DataFrame, arm: str) -> dict[str, list[DailyFigure]]:
    """The arm's share of answers that say each class, by day of the newest four weeks of event time."""
    mine = windows.filter(pl.col("arm") == arm, pl.col("metric") == CLASS_SHARE)
    return _by_slice(_newest_days(mine, JUDGED_DAYS))


def unknown_days(windows: pl.DataFrame, arm: str) -> dict[str, list[DailyFigure]]:
    """The arm's share of rows whose value training had not, by category and day of the newest week of event time."""
    mine = windows.filter(pl.col("arm") == arm, pl.col("metric") == UNKNOWN)
    return _by_slice(_newest_days(mine, ARM_DAYS))


def score_days(windows: pl.DataFrame, arm: str) -> dict[str, list[DailyFigure]]:
    """The arm's mean score and quantiles by day, as far as windows are read back."""
    mine = windows.filter(pl.col("arm") == arm, pl.col("metric").is_in([*_SCORES]), pl.col("slice") == WHOLE)
    wide = mine.pivot("metric", on_columns=[*_SCORES], index=["span_start_utc", "n"], values="value").sort("span_start_utc")
    found: dict[str, list[DailyFigure]] = {}
    for row in wide.drop_nulls().iter_rows(named=True):
        scatter = (row["score_p90"] - row["score_p10"]) / _TENTHS_APART
        for metric, (name, wider) in _SCORES.items():
            figure = DailyFigure(row["span_start_utc"].date(), row[metric], row["n"], scatter * wider)
            found.setdefault(name, []).append(figure)
    return found


def share_days(spans: pl.DataFrame, of: str, metric: str) -> list[DailyFigure]:
    """What share of the count `of` another count had, by day of the newest week of event time."""
    recent = _newest_days(spans.filter(pl.col("metric").is_in([of, metric])), ARM_DAYS)
    daily = recent.group_by(pl.col("span_start_utc").dt.date().alias("day")).agg(
        all=pl.col("value").filter(pl.col("metric") == of).sum(), some=pl.col("value").filter(pl.col("metric") == metric).sum()
    )
    rows = daily.filter(pl.col("all") > 0).sort("day").iter_rows(named=True)
    return [DailyFigure(row["day"], row["some"] / row["all"], int(row["all"]), 0.0) for row in rows]


def aged_shares(figures: pl.DataFrame) -> tuple[list[AgedShare], date]:
    """What share of each day's answers, of all arms, had its label at each age; and the day up to which that is known.

    `figures` have all values of `labelled`, of each state of knowledge.
    """
    known = figures["labels_as_of_utc"].max()
    if not isinstance(known, datetime):
        return [], date.min
    found = []
    for age in AGES:
        then = pl.col("span_end_utc") + timedelta(days=age)
        was_known = figures.filter(then <= known, pl.col("labels_as_of_utc") <= then).sort("labels_as_of_utc", "n")
        newest = was_known.unique(["span_start_utc", "arm"], keep="last")
        days = newest.group_by(pl.col("span_start_utc").dt.date().alias("day")).agg(pl.col("value").sum(), pl.col("n").sum())
        rows = days.filter(pl.col("n") > 0).sort("day").iter_rows(named=True)
        found += [AgedShare(row["day"], age, row["value"] / row["n"], row["n"]) for row in rows]
    return found, known.date()


def _by_slice(figures: pl.DataFrame) -> dict[str, list[DailyFigure]]:
    found: dict[str, list[DailyFigure]] = {}
    for row in figures.sort("span_start_utc", "slice").iter_rows(named=True):
        found.setdefault(row["slice"], []).append(DailyFigure(row["span_start_utc"].date(), row["value"], row["n"], 0.0))
    return found


def _newest_days(windows: pl.DataFrame, days: int) -> pl.DataFrame:
    newest = pl.col("span_start_utc").max()
    return windows.filter(pl.col("span_start_utc") > newest - days * _DAY).sort("span_start_utc", "metric")
