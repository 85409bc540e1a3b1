"""The picture of the windows: what was predicted and what was observed, day by day."""

from typing import Any

import polars as pl

from trainserve_assets.pictures import image
from trainserve_assets.windows.holdouts import HOLDOUT
from trainserve_assets.windows.metrics import WHOLE

_WIDTH, _HEIGHT = 520, 160
_LINES = {"mean_labelled_score": "predicted", "label_rate": "observed"}


def windows_picture(windows: pl.DataFrame) -> str | None:
    """For each arm the predicted and observed mean of its labelled answers by day; None while there is no label."""
    lines = windows.filter(pl.col("metric").is_in([*_LINES]), pl.col("arm") != HOLDOUT, pl.col("slice") == WHOLE).select(
        "arm", "value", day="span_start_utc", line=pl.col("metric").replace_strict(_LINES)
    )
    return None if lines.is_empty() else image(_chart(lines), "Predicted and observed by day, for each arm")


def _chart(lines: pl.DataFrame) -> Any:
    import altair as alt

    return (
        alt.Chart(lines)
        .mark_line(strokeWidth=1.5)
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("value:Q", title="mean", scale=alt.Scale(zero=False)),
            color=alt.Color("line:N", title=None),
            row=alt.Row("arm:N", title=None),
        )
        .properties(width=_WIDTH, height=_HEIGHT)
    )
