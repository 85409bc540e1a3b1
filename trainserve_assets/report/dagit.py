"""The short form of an evaluation for Dagit: links to page and card, a small picture, tables and numbers with a trend.

Dagit shows Markdown where it stands only up to 1,000 characters, so that the small picture is drawn here by hand.
"""

import base64
import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import dagster as dg

from lake.errors import SettingError
from lake.evaluation import Evaluation
from trainserve_assets.metrics import Numbers
from trainserve_assets.pictures import BLUE, GREY, image
from trainserve_assets.readable import readable
from trainserve_assets.report.block import release_block
from trainserve_assets.report.curve_charts import reliability_chart, roc_chart
from trainserve_assets.report.curves import through_time
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.figures import HEADLINES, figure_words
from trainserve_assets.report.files import REPORT, folder_of
from trainserve_assets.report.judgement import compared, standing
from trainserve_assets.report.looks import newest_looks
from trainserve_assets.report.overview import evaluation_lines, evaluation_page

ADDRESS = "TRAINSERVE_REPORTS"
INLINE_LIMIT = 1_000
_SPARK_POINTS = 30
_SPARK_WIDTH, _SPARK_HEIGHT = 150, 30

Metadata = Mapping[str, dg.MetadataValue]


def reports_address(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where reports are served, without a slash at its end, or None where nobody said. Raises SettingError."""
    address = environment.get(ADDRESS, "").rstrip("/")
    if not address:
        return None
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise SettingError(ADDRESS, address, "http://host:port, where `trainserve reports` listens")
    return address


def run_metadata(found: Sequence[Exhibit], lake: str, address: str | None) -> Metadata:
    """What is said once of all candidates of a run: side by side, with pictures, and how they were judged."""
    use_case, evaluations = found[0].use_case, [one.evaluation for one in found]
    whole = evaluations[0].find(HEADLINES[evaluations[0].task][0])
    lines = evaluation_lines(use_case.release_standard, evaluations)
    metadata: dict[str, dg.MetadataValue] = {
        "candidates": dg.MetadataValue.md(lines),
        "side_by_side": dg.MetadataValue.md(evaluation_page(use_case, evaluations, _pictures(found))),
        "holdout_rows": dg.MetadataValue.int(whole.n if whole else 0),
        "looks_at_this_holdout": dg.MetadataValue.int(evaluations[0].looks),
        "dataset_version": dg.MetadataValue.int(evaluations[0].dataset_version),
        "stored_in": dg.MetadataValue.path(f"{lake}/{use_case.name}/evaluations"),
    }
    differences = [row for one in evaluations for row in _difference_rows(one)]
    if differences:
        metadata["compared"] = dg.MetadataValue.table(differences)
    if address is not None:
        metadata["all_reports"] = dg.MetadataValue.url(f"{address}/")
    return metadata


def candidate_metadata(exhibit: Exhibit, card: str, lake: str, address: str | None) -> Metadata:
    """What is said of one candidate, each entry named for it."""
    evaluation, name = exhibit.evaluation, exhibit.evaluation.candidate
    page = f"{folder_of(evaluation.use_case, evaluation.evaluation_id)}/{REPORT}"
    file = dg.MetadataValue.path(f"{lake}/{page}")
    metadata: dict[str, dg.MetadataValue] = {
        f"report_{name}": file if address is None else dg.MetadataValue.url(f"{address}/{page}"),
        f"trend_{name}": dg.MetadataValue.md(sparkline(exhibit)),
        f"model_card_{name}": dg.MetadataValue.md(card),
        f"release_{name}": dg.MetadataValue.md(f"```yaml\n{release_block(exhibit.use_case, evaluation, exhibit.policy)}```"),
    }
    for look in newest_looks(lake, evaluation.use_case, evaluation.package_digest)[:1]:
        metadata[f"experiment_{name}"] = dg.MetadataValue.text(f"{look['verdict']}: {look['reason']}")
    for metric in HEADLINES[evaluation.task][:2]:
        estimate = evaluation.find(metric)
        if estimate is not None:
            metadata[f"{metric}_{name}"] = dg.MetadataValue.float(readable(estimate.value))
    return metadata


def sparkline(exhibit: Exhibit) -> str:
    """Predicted (blue) and observed (grey) through the holdout, small enough to be shown where it stands."""
    frame = through_time(exhibit.evaluation.task, exhibit.sample, most=_SPARK_POINTS)
    lines = [frame[name].to_numpy() for name in ("observed", "predicted")]
    low, high = min(line.min() for line in lines), max(line.max() for line in lines)
    drawn = "".join(
        f'<polyline points="{_points(line, low, high)}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        for line, color in zip(lines, (GREY, BLUE), strict=True)
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SPARK_WIDTH}" height="{_SPARK_HEIGHT}">{drawn}</svg>'
    return f"![predicted and observed](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _difference_rows(evaluation: Evaluation) -> list[dg.TableRecord]:
    """The first headline against each other model, what matters first: Dagit cuts a table at its column's end."""
    metric = HEADLINES[evaluation.task][0]
    return [
        dg.TableRecord(
            {
                f"difference in {metric}": f"{figure_words(one.value)} {standing(metric, one.low, one.high)}",
                "against": one.other,
                "candidate": evaluation.candidate,
            }
        )
        for one in compared(evaluation)
        if one.metric == metric
    ]


def _points(line: Numbers, low: float, high: float) -> str:
    step = _SPARK_WIDTH / max(line.size - 1, 1)
    scale = (_SPARK_HEIGHT - 4) / ((high - low) or 1.0)
    return " ".join(f"{at * step:.0f},{2 + (high - value) * scale:.0f}" for at, value in enumerate(line.tolist()))


def _pictures(found: Sequence[Exhibit]) -> list[str]:
    task = found[0].evaluation.task
    samples = {one.evaluation.candidate: one.sample for one in found}
    pictures = [image(reliability_chart(task, samples), "Predicted against observed, by tenths of the holdout")]
    if task == "binary":
        pictures.append(image(roc_chart(samples), "Receiver operating characteristic on the holdout"))
    return pictures
