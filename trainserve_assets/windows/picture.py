"""The pictures of the windows: what was predicted and what was observed, day by day; and how each slice does."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from checks.beside import are_enough
from checks.days import LabelledDay, counts, total_with_interval
from lake.input_schema import InputSchema
from trainserve_assets.pictures import BLUE, DASHED, ORANGE, image
from trainserve_assets.windows.holdouts import HOLDOUT
from trainserve_assets.windows.judged import JUDGED_DAYS, active_arms, labelled_days, sliced_days
from trainserve_assets.windows.metrics import WHOLE
from trainserve_assets.windows.slices import sliced_fields

_WIDTH, _HEIGHT = 520, 160
_MOST_SLICES, _SLICE_HEIGHT = 20, 20
_ORANGE = "orange: off, apart from all others"
_LINES = {"mean_labelled_score": "predicted", "label_rate": "observed"}


def windows_picture(windows: pl.DataFrame) -> str | None:
    """For each arm the predicted and observed mean of its labelled answers by day; None while there is no label."""
    lines = windows.filter(pl.col("metric").is_in([*_LINES]), pl.col("arm") != HOLDOUT, pl.col("slice") == WHOLE).select(
        "arm", "value", day="span_start_utc", line=pl.col("metric").replace_strict(_LINES)
    )
    return None if lines.is_empty() else image(_chart(lines), "Predicted and observed by day, for each arm")


class Drawn(NamedTuple):
    """A figure of slices: its title, what it is where nothing is off, and how far it is from that: a difference, as a share."""

    title: str
    even: float
    less: tuple[str, str]
    of: str
    is_off_above: bool


SKILL = Drawn(f"skill (dashed: the base rate's; {_ORANGE})", 0.0, ("base_loss", "loss"), "base_loss", is_off_above=False)
RATIO = Drawn(
    f"predicted over observed (dashed: calibrated; {_ORANGE})", 1.0, ("predicted", "observed"), "observed", is_off_above=True
)


def slices_picture(windows: pl.DataFrame, schema: InputSchema, slices: Sequence[str], drawn: Drawn = SKILL) -> str | None:
    """For each active arm the largest slices that are judged, over their newest four weeks with labels; None while there is none.

    Orange is what is surely off, and further off than all answers together.
    """
    fields = sliced_fields(schema, slices)
    figures = [one for arm in active_arms(windows) for one in _of_slices(windows, arm, schema, fields, drawn)] if fields else []
    title = f"{drawn.title}, of each slice over the newest four weeks, for each arm, with 95 % intervals over days"
    return image(_slices_chart(pl.DataFrame(figures), drawn), title) if figures else None


def _of_slices(
    windows: pl.DataFrame, arm: str, schema: InputSchema, fields: Sequence[str], drawn: Drawn
) -> Iterator[dict[str, Any]]:
    found = sliced_days(windows, arm, schema, date.min, None, fields)
    recent = {name: days[-JUDGED_DAYS:] for name, days in found.items() if are_enough(days)}
    whole = _figure(labelled_days(windows, arm, schema, date.min, None)[-JUDGED_DAYS:], drawn) if recent else None
    for name in sorted(recent, key=lambda name: (-counts(recent[name]).sum(), name))[:_MOST_SLICES]:
        one = _figure(recent[name], drawn)
        if one and whole:
            is_off = one.high < min(drawn.even, whole.value) or (drawn.is_off_above and one.low > max(drawn.even, whole.value))
            yield {"arm": arm, "slice": name, "is_off": is_off, **one._asdict()}


class _Figure(NamedTuple):
    value: float
    low: float
    high: float


def _figure(days: Sequence[LabelledDay], drawn: Drawn) -> _Figure | None:
    n = counts(days)
    more, less, of = (n * np.array([getattr(day, name) for day in days]) for name in (*drawn.less, drawn.of))
    return _Figure(*(drawn.even + total / of.sum() for total in total_with_interval(more - less))) if of.sum() > 0 else None


def _slices_chart(figures: pl.DataFrame, drawn: Drawn) -> Any:
    import altair as alt

    color = alt.condition(alt.datum.is_off, alt.value(ORANGE), alt.value(BLUE))
    x = alt.X("value:Q", title=drawn.title, axis=alt.Axis(tickCount=6), scale=alt.Scale(zero=False, padding=8))
    base = alt.Chart(figures).encode(y=alt.Y("slice:N", title=None, axis=alt.Axis(labelLimit=150)), color=color)
    layers = alt.layer(
        alt.Chart(figures).mark_rule(**DASHED).encode(x=alt.datum(drawn.even)),
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", title=drawn.title), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x),
    ).properties(width=_WIDTH - 100, height=alt.Step(_SLICE_HEIGHT))
    return layers.facet(row=alt.Row("arm:N", title=None)).resolve_scale(y="independent")


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
