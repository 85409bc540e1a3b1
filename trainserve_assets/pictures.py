"""Pictures for an asset's metadata: charts as Markdown images that carry their own SVG and load nothing."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from lake.input_schema import Task
from trainserve_assets.metrics import BINS, Numbers, Sample

_WIDTH, _HEIGHT = 520, 300
_CURVE_POINTS = 100


def image(chart: Any, title: str) -> str:
    """A chart as Markdown, drawn here and now; `title` is what is read out in its place."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(chart.to_json())
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def label_picture(days: pl.DataFrame) -> str:
    """The mean label of each day, from columns `day`, `split`, `label`."""
    import altair as alt

    chart = (
        alt.Chart(days)
        .mark_line(strokeWidth=1.5)
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("label:Q", title="mean label", scale=alt.Scale(zero=True)),
            color=alt.Color("split:N", sort=["train", "holdout", "later"], title=None),
        )
    )
    return image(chart.properties(width=_WIDTH, height=200), "Mean label by day and split")


def reliability_picture(task: Task, samples: Mapping[str, Sample]) -> str:
    """For each model, tenths of the rows by what it predicted: predicted against observed, which should be equal."""
    import altair as alt

    frame = pl.concat(
        [_tenths(*_predicted_and_observed(task, sample)).with_columns(model=pl.lit(name)) for name, sample in samples.items()]
    )
    ends = [
        frame.select(pl.min_horizontal(pl.all().exclude("model").min())).item(),
        frame.select(pl.max_horizontal(pl.all().exclude("model").max())).item(),
    ]
    equal = alt.Chart(pl.DataFrame({"predicted": ends, "observed": ends})).mark_line(color="#999", strokeDash=[4, 4])
    models = alt.Chart(frame).mark_line(point=True).encode(color=alt.Color("model:N", title=None))
    chart = alt.layer(equal, models).encode(x=alt.X("predicted:Q", title="predicted"), y=alt.Y("observed:Q", title="observed"))
    return image(chart.properties(width=_WIDTH, height=_HEIGHT), "Predicted against observed, by tenths of the holdout")


def roc_picture(samples: Mapping[str, Sample]) -> str:
    """For each binary model the receiver operating characteristic: positives found against negatives taken for them."""
    import altair as alt

    frame = pl.concat([_roc(sample).with_columns(model=pl.lit(name)) for name, sample in samples.items()])
    chance = alt.Chart(pl.DataFrame({"false": [0, 1], "true": [0, 1]})).mark_line(color="#999", strokeDash=[4, 4])
    models = alt.Chart(frame).mark_line().encode(color=alt.Color("model:N", title=None))
    chart = alt.layer(chance, models).encode(
        x=alt.X("false:Q", title="share of negatives taken for positive"), y=alt.Y("true:Q", title="share of positives found")
    )
    return image(chart.properties(width=_WIDTH, height=_HEIGHT), "Receiver operating characteristic on the holdout")


def _predicted_and_observed(task: Task, sample: Sample) -> tuple[Numbers, Numbers]:
    if task != "multiclass":
        return sample.scores[:, 0], sample.labels
    return sample.scores.max(axis=1), (sample.scores.argmax(axis=1) == sample.labels).astype(np.float64)


def _tenths(predicted: Numbers, observed: Numbers) -> pl.DataFrame:
    tenth = np.searchsorted(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]), predicted, side="right")
    frame = pl.DataFrame({"tenth": tenth, "predicted": predicted, "observed": observed})
    return frame.group_by("tenth").mean().sort("tenth").drop("tenth")


def _roc(sample: Sample) -> pl.DataFrame:
    order = np.argsort(-sample.scores[:, 0], kind="stable")
    positive = sample.labels[order] > 0
    true, false = np.cumsum(positive) / max(positive.sum(), 1), np.cumsum(~positive) / max((~positive).sum(), 1)
    at = np.linspace(0, order.size - 1, min(_CURVE_POINTS, order.size)).astype(np.intp)
    return pl.DataFrame({"false": np.append(0.0, false[at]), "true": np.append(0.0, true[at])})
