"""The inputs of each day: how far they are from training and how far a day of it would be, their means, nulls and unknowns."""

from collections.abc import Mapping

import polars as pl

from lake.tables import WINDOWS_SCHEMA
from trainserve_assets.logged import answered
from trainserve_assets.windows.metrics import conformed
from trainserve_assets.windows.reference import Reference

PSI, PSI_LIMIT = "psi", "psi_limit"
# Their slices are the features. The scatter is the standard deviation of a row.
MEAN, SCATTER, NULLS, UNKNOWN = "input_mean", "input_scatter", "null_share", "unknown_share"
_SPAN = ["start", "arm"]


def input_windows(rows: pl.DataFrame, references: Mapping[str, Reference], false_alarm_rate: float) -> pl.DataFrame:
    """For each arm, day and feature the stability index against training, and the limit that its null sets.

    A day on which an arm served several packages is held against the training of the one that answered most.
    """
    answers = rows.filter(answered()).with_columns(start=pl.col("event_time_utc").dt.truncate("1d"))
    spans = answers.group_by(_SPAN).agg(
        n=pl.len().cast(pl.Int64), known=pl.col("received_at_utc").max(), package_digest=pl.col("package_digest").mode().min()
    )
    found = [WINDOWS_SCHEMA.to_frame()]
    for digest, reference in references.items():
        mine = spans.filter(package_digest=digest)
        inputs = answers.join(mine, on=_SPAN).select(*_SPAN, "n", "known", "features").unnest("features", separator=".")
        found += [_feature_windows(inputs, name, reference, false_alarm_rate) for name in reference.features]
        found += [_figures(inputs, name, reference) for name in reference.features]
    return pl.concat(found)


def _figures(inputs: pl.DataFrame, name: str, reference: Reference) -> pl.DataFrame:
    """Mean and scatter of a number, the share of nulls, and of a category the share of values that training had not."""
    column = pl.col(f"features.{name}")
    figures = {NULLS: column.is_null().mean()}
    if (known := reference.categories.get(name)) is None:
        figures |= {MEAN: column.cast(pl.Float64).mean(), SCATTER: column.cast(pl.Float64).std()}
    else:
        figures[UNKNOWN] = (column.is_not_null() & ~column.is_in(known)).mean()
    daily = inputs.group_by([*_SPAN, "n", "known"]).agg(**figures).sort(_SPAN).with_columns(slice=pl.lit(name))
    long = daily.unpivot([*figures], index=[*_SPAN, "n", "known", "slice"], variable_name="metric")
    return conformed(long.filter(pl.col("value").is_finite()), "1d")


def _feature_windows(inputs: pl.DataFrame, name: str, reference: Reference, false_alarm_rate: float) -> pl.DataFrame:
    spans, counts = reference.features[name].bins.counts(inputs, f"features.{name}", [*_SPAN, "n", "known"])
    figures = spans.with_columns(
        pl.Series(PSI, [reference.index(name, counted) for counted in counts], dtype=pl.Float64),
        pl.Series(PSI_LIMIT, [reference.limit(name, n, false_alarm_rate) for n in spans["n"]], dtype=pl.Float64),
        slice=pl.lit(name),
    )
    return conformed(figures.unpivot([PSI, PSI_LIMIT], index=[*_SPAN, "n", "known", "slice"], variable_name="metric"), "1d")
