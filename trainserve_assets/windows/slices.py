"""What answers are judged by, by slice: for each value of each field that the use case slices by, on each day with labels.

A slice is named as in the evaluation, `origin=EWR`; under the arm of the holdouts, whose slices are packages, the package stands
before it.
"""

from collections.abc import Sequence

import polars as pl

from lake.fixed_schemas import WINDOWS_SCHEMA
from lake.input_schema import InputSchema
from trainserve_assets.logged import answered
from trainserve_assets.windows.metrics import conformed, judged_names

# Of a field the values with the most answers of a day: what clients send may be a value of its own in each row.
MOST_VALUES = 50
# A number has hardly any value twice.
_SLICED = ("category", "boolean", "integer")
_SPAN = ["start", "arm"]


def sliced_fields(schema: InputSchema, slices: Sequence[str]) -> tuple[str, ...]:
    """Those of the use case's slices whose values the log keeps as they are, and that have few of them."""
    kept = {field.name for field in schema.fields if not field.sensitive and field.type in _SLICED}
    return tuple(name for name in slices if name in kept)


def holdout_prefix(package_digest: str) -> str:
    """What stands before the name of a slice of this package's holdout."""
    return f"{package_digest} "


def slice_windows(rows: pl.DataFrame, schema: InputSchema, fields: Sequence[str]) -> pl.DataFrame:
    """The figures that answers are judged by for each arm, day and slice that has labels; of a day without labels none.

    Summed by group, eagerly: a sum by parts has other bits with each way the rows lie.
    """
    logged = rows.schema["features"].to_schema() if isinstance(rows.schema["features"], pl.Struct) else pl.Schema()
    names = [name for name in fields if name in logged]
    found = [WINDOWS_SCHEMA.to_frame()]
    has_label = answered() & pl.col("label").is_not_null()
    if not names or not rows.select(has_label.any()).item():
        return found[0]
    answers = rows.filter(answered()).select(
        "arm",
        "loss",
        "base_loss",
        start=pl.col("event_time_utc").dt.truncate("1d"),
        known=pl.max_horizontal("received_at_utc", "labelled_at_utc"),
        is_labelled=pl.col("label").is_not_null(),
        predicted=pl.when(pl.col("label").is_not_null()).then("score"),
        observed="truth",
        **{_column(name): pl.col("features").struct.field(name).cast(pl.String).fill_null("null") for name in names},
    )
    return pl.concat([*found, *(_field_windows(answers, name, schema) for name in names)])


def _field_windows(answers: pl.DataFrame, name: str, schema: InputSchema) -> pl.DataFrame:
    figures = {metric: column for metric, column in judged_names(schema).items() if column != "labelled_share"}
    counts = {"answers": pl.len().cast(pl.Int64), "labels": pl.col("is_labelled").sum().cast(pl.Int64)}
    means = {metric: pl.col(column).mean() for metric, column in figures.items()}
    groups = answers.group_by(*_SPAN, _column(name)).agg(known=pl.col("known").max(), **counts, **means)
    largest = (
        groups.sort(*_SPAN, "answers", _column(name), descending=[False, False, True, False])
        .group_by(_SPAN, maintain_order=True)
        .head(MOST_VALUES)
        .filter(pl.col("labels") > 0)
        .with_columns(labelled_share=pl.col("labels") / pl.col("answers"), slice=pl.concat_str(pl.lit(f"{name}="), _column(name)))
    )
    index = [*_SPAN, "slice", "known", "answers", "labels"]
    long = largest.unpivot(["labelled_share", *figures], index=index, variable_name="metric")
    n = pl.when(pl.col("metric") == "labelled_share").then("answers").otherwise("labels")
    return conformed(long.with_columns(n=n).filter(pl.col("value").is_finite()), "1d")


def _column(name: str) -> str:
    return f"of {name}"
