"""Charts of an evaluation document, by Altair: its differences, periods, slices and importances with their intervals."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from lake.evaluation import Difference, Estimate, FeatureEvidence
from trainserve_assets.pictures import BLUE, DASHED, GREY, ORANGE, WIDTH
from trainserve_assets.report.figures import metric_words
from trainserve_assets.report.judgement import standing

_STANDINGS = {"better": BLUE, "worse": ORANGE, "not proven": GREY}
_MOST_BARS = 24


def forest_chart(differences: Sequence[Difference]) -> Any:
    """Differences on one metric, one strip for each other model, each on its own scale: zero is the dashed line.

    The thick line is the 95 % interval, the thin one the interval over all looks together.
    """
    import altair as alt

    strips = []
    for one in differences:
        row = {
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "family_low": one.low if one.family_low is None else one.family_low,
            "family_high": one.high if one.family_high is None else one.family_high,
        }
        base = alt.Chart(pl.DataFrame([row]))
        color = _STANDINGS[standing(one.metric, one.low, one.high)]
        title = f"{metric_words(one.metric)}, minus the {one.other}'s"
        x = alt.X("value:Q", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=5))
        zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(**DASHED).encode(x="zero:Q")
        thin = base.mark_rule(strokeWidth=1.5, color=color).encode(x=alt.X("family_low:Q", title=title), x2="family_high:Q")
        thick = base.mark_rule(strokeWidth=6, color=color).encode(x=alt.X("low:Q", title=title), x2="high:Q")
        point = base.mark_point(filled=True, size=110, color=color, opacity=1).encode(x=x)
        strips.append(alt.layer(zero, thin, thick, point).properties(width=WIDTH, height=34))
    return alt.vconcat(*strips).resolve_scale(x="independent")


def period_chart(skills: Sequence[Estimate], ratios: Sequence[Estimate]) -> Any:
    """Skill, and predicted over observed, on each period of the holdout, with their 95 % intervals."""
    import altair as alt

    charts = []
    for estimates, title, level in ((skills, "skill score", 0.0), (ratios, "predicted over observed", 1.0)):
        if not estimates:
            continue
        frame = _intervals(estimates).with_columns(period=pl.col("slice").str.split("=").list.last())
        base = alt.Chart(frame).encode(x=alt.X("period:O", title=None, axis=alt.Axis(labelAngle=0)))
        y = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False))
        rule = alt.Chart(pl.DataFrame({"level": [level]})).mark_rule(**DASHED).encode(y="level:Q")
        bars = base.mark_rule(strokeWidth=3, color=BLUE, opacity=0.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
        line = base.mark_line(point={"filled": True, "size": 80, "color": BLUE}, color=BLUE).encode(y=y)
        charts.append(alt.layer(rule, bars, line).properties(width=WIDTH, height=150))
    return alt.vconcat(*charts)


def slice_chart(estimates: Sequence[Estimate], whole: Estimate | None, worst: str | None) -> Any:
    """One metric on each slice with its 95 % interval, the largest slices; the dashed line is the whole holdout."""
    import altair as alt

    largest = sorted(estimates, key=lambda one: -one.n)[:_MOST_BARS]
    order = [one.slice for one in estimates if one in largest]
    title = metric_words(estimates[0].metric)
    frame = _intervals(largest)
    color = alt.condition(alt.datum.slice == worst, alt.value(ORANGE), alt.value(BLUE))
    y = alt.Y("slice:N", title=None, sort=order, axis=alt.Axis(labelLimit=150))
    x = alt.X("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
    base = alt.Chart(frame).encode(y=y, color=color)
    layers = [
        base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", title=title), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x),
    ]
    if whole is not None:
        layers.insert(0, alt.Chart(pl.DataFrame({"x": [whole.value]})).mark_rule(**DASHED).encode(x="x:Q"))
    return alt.layer(*layers).properties(width=WIDTH - 100, height=max(60, 20 * len(order)))


def importance_chart(features: Sequence[FeatureEvidence]) -> Any:
    """The share of each feature in what the model answers, the greatest first; the tick is the champion's."""
    import altair as alt

    rows = sorted(features, key=lambda one: -(one.importance or 0.0))[:_MOST_BARS]
    frame = pl.DataFrame(
        [{"feature": one.name, "share": one.importance, "champion": one.champion_importance} for one in rows],
        schema={"feature": pl.String, "share": pl.Float64, "champion": pl.Float64},
    )
    y = alt.Y("feature:N", title=None, sort=frame["feature"].to_list(), axis=alt.Axis(labelLimit=170))
    has_champion = frame["champion"].null_count() < frame.height
    title = "share of the importance" + (" (tick: champion)" if has_champion else "")
    x = alt.X("share:Q", title=title, axis=alt.Axis(format="%", tickCount=5))
    layers = [alt.Chart(frame).mark_bar(color=BLUE, height={"band": 0.6}).encode(x=x, y=y)]
    if has_champion:
        ticks = alt.Chart(frame.drop_nulls("champion")).mark_tick(color=ORANGE, thickness=4, size=18, opacity=1)
        layers.append(ticks.encode(x=alt.X("champion:Q", title=title), y=y))
    return alt.layer(*layers).properties(width=WIDTH - 120, height=max(60, 20 * frame.height))


def _intervals(estimates: Sequence[Estimate]) -> pl.DataFrame:
    """Estimates as rows; one without an interval is a point alone."""
    return pl.DataFrame(
        [
            {
                "slice": one.slice,
                "value": one.value,
                "low": one.value if one.low is None else one.low,
                "high": one.value if one.high is None else one.high,
            }
            for one in estimates
        ]
    )
