"""The inputs of each day: how far they are from training and how far a day of it would be, their means, nulls and unknowns."""

from collections.abc import Mapping

import polars as pl

from lake.fixed_schemas import WINDOWS_SCHEMA
from trainserve_assets.logged import answered
from trainserve_assets.windows.metrics import aggregated, conformed
from trainserve_assets.windows.reference import Reference

PSI, PSI_LIMIT = "psi", "psi_limit"
# Their slices are the features. The scatter is the standard deviation of a row.
MEAN, SCATTER, NULLS, UNKNOWN = "input_mean", "input_scatter", "null_share", "unknown_share"
_FIGURES = (MEAN, SCATTER, NULLS, UNKNOWN)
_SPAN, _COUNTED = ["start", "arm"], "counted"


def input_windows(rows: pl.DataFrame, references: Mapping[str, Reference], false_alarm_rate: float) -> pl.DataFrame:
    """For each arm, day and feature the stability index against training, and the limit that its null sets.

    A day on which an arm served several packages is held against the training of the one that answered most.
    """
    answers = rows.filter(answered()) if (rows["outcome"] != "answered").any() else rows
    answers = answers.with_columns(start=pl.col("event_time_utc").dt.truncate("1d"))
    known = {
        "n": pl.len().cast(pl.Int64),
        "known": pl.col("received_at_utc").max(),
        "package_digest": pl.col("package_digest").mode().min(),
    }
    spans = aggregated(answers, _SPAN, known)
    found = [WINDOWS_SCHEMA.to_frame()]
    for digest, reference in references.items():
        mine = spans.filter(package_digest=digest)
        inputs = answers if mine.height == spans.height else answers.join(mine, on=_SPAN, how="semi")
        daily = aggregated(inputs, _SPAN, _counts(reference)).join(_moments(inputs, reference), on=_SPAN)
        figures = daily.join(mine.drop("package_digest"), on=_SPAN).sort(_SPAN)
        found += [_feature_windows(figures, name, reference, false_alarm_rate) for name in reference.features]
    return pl.concat(found)


def _counts(reference: Reference) -> dict[str, pl.Expr]:
    """Of each feature its counts by bin and share of nulls, of a category how much is unknown."""
    found = {}
    for name, feature in reference.features.items():
        column = _field(name)
        found[f"{_COUNTED} {name}"] = feature.bins.counted(column)
        found[f"{NULLS} {name}"] = column.is_null().mean()
        if (known := reference.categories.get(name)) is not None:
            found[f"{UNKNOWN} {name}"] = (column.is_not_null() & ~column.is_in(known)).mean()
    return found


def _moments(inputs: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Of each number mean and scatter. Summed by group, eagerly: a sum by parts has other bits with each way the rows lie."""
    names = [name for name in reference.features if name not in reference.categories]
    numbers = inputs.select(*_SPAN, *(_field(name).cast(pl.Float64).alias(f"of {name}") for name in names))
    means = {f"{MEAN} {name}": pl.col(f"of {name}").mean() for name in names}
    return numbers.group_by(_SPAN).agg(**means, **{f"{SCATTER} {name}": pl.col(f"of {name}").std() for name in names})


def _field(name: str) -> pl.Expr:
    return pl.col("features").struct.field(name)


def _feature_windows(daily: pl.DataFrame, name: str, reference: Reference, false_alarm_rate: float) -> pl.DataFrame:
    counts = reference.features[name].bins.counts(daily[f"{_COUNTED} {name}"])
    figures = daily.select(
        *_SPAN,
        "n",
        "known",
        pl.Series(PSI, [reference.index(name, counted) for counted in counts], dtype=pl.Float64),
        pl.Series(PSI_LIMIT, [reference.limit(name, n, false_alarm_rate) for n in daily["n"]], dtype=pl.Float64),
        *(pl.col(f"{metric} {name}").alias(metric) for metric in _FIGURES if f"{metric} {name}" in daily.columns),
        slice=pl.lit(name),
    )
    index = [*_SPAN, "n", "known", "slice"]
    long = figures.unpivot([column for column in figures.columns if column not in index], index=index, variable_name="metric")
    return conformed(long.filter(pl.col("value").is_finite()), "1d")
