"""Pictures: charts drawn here and now, as Markdown images for an asset's metadata or as SVG for a page. They load nothing."""

import base64
from html import escape
from typing import Any

import polars as pl

WIDTH, HEIGHT = 400, 260
# Read on light and dark ground alike, and told apart by those who do not see red from green.
BLUE, ORANGE, GREY, GREEN, PURPLE = "#3b7ddd", "#d9822b", "#8a8f98", "#2e9e6b", "#9a6bd1"
SERIES = [BLUE, GREY, ORANGE, GREEN, PURPLE]
# A line to hold others against.
DASHED: dict[str, Any] = {"color": GREY, "strokeDash": [4, 4]}
_STYLE: dict[str, Any] = {
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": "#ddd", "tickColor": "#aaa"},
    "header": {"labelFontSize": 12},
    "legend": {"orient": "top", "labelFontSize": 12, "title": None, "labelLimit": 300, "symbolType": "stroke", "columns": 3},
    "range": {"category": SERIES},
}


def image(chart: Any, title: str) -> str:
    """A chart as Markdown, on white; `title` is what is read out in its place."""
    drawn = _svg(chart, background="white")
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()})"


def inline(chart: Any, title: str) -> str:
    """A chart as SVG to stand in a page, which gives ground and letters their colour; `title` is what is read out."""
    drawn = _svg(chart, background=None)
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


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
    return image(chart.properties(width=520, height=200), "Mean label by day and split")


def _svg(chart: Any, background: str | None) -> str:
    import vl_convert

    specification = chart.to_dict(validate=False)  # Vega-Lite reads it right below; checking first takes as long again
    specification["config"] = {**_STYLE, "background": background}
    return str(vl_convert.vegalite_to_svg(specification))
