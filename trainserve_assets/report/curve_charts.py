"""Charts of scored rows, by Altair: how they come out through time, by what was predicted, and by threshold."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from lake.input_schema import Task
from trainserve_assets.metrics import Sample
from trainserve_assets.pictures import BLUE, DASHED, GREY, HEIGHT, WIDTH
from trainserve_assets.report.curves import (
    Threshold,
    by_model,
    confusion,
    precision_recall,
    reliability,
    residuals,
    roc,
    through_time,
)


def time_chart(task: Task, sample: Sample) -> Any:
    """What was predicted and what was observed through the days of the holdout."""
    import altair as alt

    long = through_time(task, sample).unpivot(["predicted", "observed"], index="day", variable_name="line")
    return (
        alt.Chart(long)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(tickCount=6)),
            y=alt.Y("value:Q", title="mean of the day", scale=alt.Scale(zero=False)),
            color=alt.Color("line:N", title=None, scale=alt.Scale(domain=["predicted", "observed"], range=[BLUE, GREY])),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def reliability_chart(task: Task, samples: Mapping[str, Sample]) -> Any:
    """For each model, tenths of the rows by what it predicted: predicted against observed, which should be equal."""
    import altair as alt

    frame = by_model({name: reliability(task, sample) for name, sample in samples.items()})
    ends = _ends(frame, "predicted", "observed")
    equal = alt.Chart(pl.DataFrame({"x": ends, "y": ends})).mark_line(**DASHED).encode(x="x:Q", y="y:Q")
    scale = alt.Scale(zero=False)
    models = (
        alt.Chart(frame)
        .mark_line(point={"filled": True, "size": 45})
        .encode(
            x=alt.X("predicted:Q", title="predicted", scale=scale),
            y=alt.Y("observed:Q", title="observed", scale=scale),
            color=_model_color(samples),
        )
    )
    return alt.layer(equal, models).properties(width=WIDTH, height=HEIGHT)


def roc_chart(samples: Mapping[str, Sample]) -> Any:
    """For each binary model the receiver operating characteristic."""
    import altair as alt

    frame = by_model({name: roc(sample) for name, sample in samples.items()})
    chance = alt.Chart(pl.DataFrame({"x": [0, 1], "y": [0, 1]})).mark_line(**DASHED).encode(x="x:Q", y="y:Q")
    models = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("false:Q", title="share of negatives taken for positive"),
            y=alt.Y("true:Q", title="share of positives found"),
            color=_model_color(samples),
        )
    )
    return alt.layer(chance, models).properties(width=WIDTH, height=HEIGHT)


def precision_recall_chart(samples: Mapping[str, Sample]) -> Any:
    """For each binary model precision by recall; the dashed line is the share of positives, which guessing reaches."""
    import altair as alt

    frame = by_model({name: precision_recall(sample) for name, sample in samples.items()})
    share = float((next(iter(samples.values())).labels > 0).mean())
    guess = alt.Chart(pl.DataFrame({"y": [share]})).mark_rule(**DASHED).encode(y="y:Q")
    models = (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("recall:Q", title="share of positives flagged (recall)"),
            y=alt.Y("precision:Q", title="share of flagged that are positive", scale=alt.Scale(domain=[0, 1])),
            color=_model_color(samples),
        )
    )
    return alt.layer(guess, models).properties(width=WIDTH, height=HEIGHT)


def confusion_chart(sample: Sample, classes: tuple[str, ...]) -> Any:
    """Of the rows of each class, the share for which each class was the likeliest."""
    import altair as alt

    base = alt.Chart(confusion(sample, classes)).encode(
        x=alt.X("predicted:N", title="likeliest", sort=list(classes), axis=alt.Axis(labelAngle=0, labelLimit=90)),
        y=alt.Y("observed:N", title="observed", sort=list(classes), axis=alt.Axis(labelLimit=120)),
    )
    cells = base.mark_rect().encode(
        opacity=alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.05, 0.85]))
    )
    words = base.mark_text(fontSize=13).encode(text=alt.Text("share:Q", format=".0%"))
    return alt.layer(cells.encode(color=alt.value(BLUE)), words).properties(width=WIDTH, height=HEIGHT)


def residual_chart(samples: Mapping[str, Sample]) -> Any:
    """For each model the median residual by tenths of its prediction, and for the first where 80 % of them lie."""
    import altair as alt

    frame = by_model({name: residuals(sample) for name, sample in samples.items()})
    first = next(iter(samples))
    x = alt.X("predicted:Q", title="predicted", scale=alt.Scale(zero=False))
    title = "predicted minus observed"
    zero = alt.Chart(pl.DataFrame({"y": [0.0]})).mark_rule(**DASHED).encode(y="y:Q")
    band = alt.Chart(frame.filter(model=first)).mark_area(color=BLUE, opacity=0.18)
    band = band.encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q")
    lines = alt.Chart(frame).mark_line(point={"filled": True, "size": 45})
    lines = lines.encode(x=x, y=alt.Y("middle:Q", title=title), color=_model_color(samples))
    return alt.layer(zero, band, lines).properties(width=WIDTH, height=HEIGHT)


def threshold_chart(found: Sequence[Threshold]) -> Any:
    """Precision, recall and share of flagged rows by threshold."""
    import altair as alt

    names = {"precision": "precision", "recall": "recall", "flagged": "share flagged"}
    rows = [
        {"threshold": one.threshold, "line": words, "value": getattr(one, name)}
        for one in found
        for name, words in names.items()
        if getattr(one, name) is not None
    ]
    return (
        alt.Chart(pl.DataFrame(rows))
        .mark_line()
        .encode(
            x=alt.X("threshold:Q", title="threshold"),
            y=alt.Y("value:Q", title="share", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("line:N", title=None, sort=list(names.values())),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def cost_chart(found: Sequence[Threshold]) -> Any:
    """The cost of 1,000 rows by threshold; the dashed line is the cheapest one."""
    import altair as alt

    frame = pl.DataFrame([{"threshold": one.threshold, "cost": one.cost} for one in found])
    cheapest = frame.sort("cost").head(1)
    rule = alt.Chart(cheapest).mark_rule(**DASHED).encode(x="threshold:Q")
    line = alt.Chart(frame).mark_line(color=BLUE)
    line = line.encode(x=alt.X("threshold:Q", title="threshold"), y=alt.Y("cost:Q", title="cost of 1,000 rows"))
    point = alt.Chart(cheapest).mark_point(filled=True, size=90, color=BLUE, opacity=1).encode(x="threshold:Q", y="cost:Q")
    return alt.layer(rule, line, point).properties(width=WIDTH, height=HEIGHT)


def _model_color(samples: Mapping[str, Sample]) -> Any:
    import altair as alt

    return alt.Color("model:N", title=None, sort=list(samples), scale=alt.Scale(domain=list(samples)))


def _ends(frame: pl.DataFrame, *columns: str) -> list[float]:
    both = pl.concat([frame[name] for name in columns])
    return [float(both.min()), float(both.max())]  # type: ignore[arg-type]
