"""The page of one candidate: a single HTML file that loads nothing, with its charts drawn into it."""

from collections.abc import Mapping
from typing import Any

from trainserve_assets.pictures import inline
from trainserve_assets.report.content import content
from trainserve_assets.report.curve_charts import (
    confusion_chart,
    cost_chart,
    precision_recall_chart,
    reliability_chart,
    residual_chart,
    roc_chart,
    threshold_chart,
    time_chart,
)
from trainserve_assets.report.document_charts import forest_chart, importance_chart, period_chart, slice_chart
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.figures import HEADLINES, metric_words
from trainserve_assets.report.judgement import compared, field_slices, periods, worst_slice
from trainserve_assets.report.looks import looks_section
from trainserve_assets.report.templating import html_template

_RELIABILITY = {
    "binary": "Tenths of the holdout by what was predicted; on the dashed line they come true as often as predicted.",
    "multiclass": "Tenths of the holdout by the likeliest class's probability, against how often it was that class.",
    "regression": "Tenths of the holdout by what was predicted; on the dashed line they come out as predicted.",
}
_TIME = {
    "binary": "Mean score and share of positives, by day.",
    "multiclass": "Mean probability of the likeliest class, and how often it was that class, by day.",
    "regression": "Mean prediction and mean label, by day.",
}


def report_page(exhibit: Exhibit) -> str:
    """The page as HTML."""
    task, found = exhibit.evaluation.task, content(exhibit)
    words = {
        "reliability_caption": _RELIABILITY[task],
        "time_caption": _TIME[task],
        "slices_caption": "By slice, the largest; the dashed line is the whole holdout, orange the worst slice.",
    }
    return html_template("report.html.j2").render(**found, **words, experiment=looks_section([]), charts=_charts(exhibit, found))


def _charts(exhibit: Exhibit, found: Mapping[str, Any]) -> dict[str, Any]:
    """The SVG of each chart, by the name that the template uses; None where there is nothing to draw."""
    evaluation, samples, task = exhibit.evaluation, exhibit.samples, exhibit.evaluation.task
    skills, ratios = periods(evaluation, "skill"), periods(evaluation, "predicted_over_observed")
    slices, worst = field_slices(evaluation), worst_slice(evaluation)
    leaning = [one for one in evaluation.features if one.importance is not None]
    charts: dict[str, Any] = {
        "forest": _forests(exhibit),
        "periods": inline(period_chart(skills, ratios), "Skill by period") if len(skills) > 1 or len(ratios) > 1 else None,
        "time": inline(time_chart(task, exhibit.sample), "Predicted and observed through time"),
        "reliability": inline(reliability_chart(task, samples), "Predicted against observed"),
        "ranking": _ranking(exhibit),
        "slices": None,
        "importances": inline(importance_chart(leaning), "Importance of each feature") if leaning else None,
    }
    if slices:
        whole = evaluation.find(slices[0].metric)
        charts["slices"] = inline(slice_chart(slices, whole, worst.slice if worst else None), "Figures by slice")
    if task == "binary":
        charts["threshold"] = inline(threshold_chart(found["threshold_curve"]), "Precision and recall by threshold")
        charts["cost"] = inline(cost_chart(found["threshold_curve"]), "Cost by threshold") if found["cheapest"] else None
    return charts


def _forests(exhibit: Exhibit) -> dict[str, str]:
    """By the metric's words, the differences on it."""
    every = compared(exhibit.evaluation)
    forests = {}
    for metric in HEADLINES[exhibit.evaluation.task]:
        differences = [one for one in every if one.metric == metric]
        if differences:
            words = metric_words(metric)
            forests[words] = inline(forest_chart(differences), f"Differences on {words}")
    return forests


def _ranking(exhibit: Exhibit) -> dict[str, str]:
    """By its caption, each chart of how rows are told apart."""
    samples, sample = exhibit.samples, exhibit.sample
    if exhibit.evaluation.task == "regression":
        caption = "Residuals by tenths of the prediction: medians, and for this candidate the band in which 80 % lie."
        return {caption: inline(residual_chart(samples), "Residuals")}
    if exhibit.evaluation.task == "multiclass":
        caption = "Of the rows of each class, the share for which each class was the likeliest."
        return {caption: inline(confusion_chart(sample, exhibit.use_case.input_schema.classes), "Confusion of classes")}
    return {
        "Receiver operating characteristic; the dashed line is chance.": inline(roc_chart(samples), "ROC"),
        "Precision by recall; the dashed line is the share of positives.": inline(
            precision_recall_chart(samples), "Precision and recall"
        ),
    }
