"""Metrics by slice: the whole holdout, each value of each field that the use case slices by, and each period."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.evaluation import Estimate
from lake.input_schema import Task
from trainserve_assets.evidence.holdout import Holdout, Positions
from trainserve_assets.metrics import Sample, Spread, measure, with_skill
from trainserve_assets.use_case import Period, UseCase

ALL = "all"

Slices = Mapping[str, Positions]
Spreads = Mapping[str, Spread]
# The metrics of one model by the name of the slice.
Measured = Mapping[str, Spreads]

# How long a period is, and how its start is written.
_PERIODS: Mapping[Period, tuple[str, str]] = {"week": ("1w", "%Y-%m-%d"), "month": ("1mo", "%Y-%m"), "quarter": ("1q", "%Y-%m")}


def rows_by_slice(use_case: UseCase, holdout: Holdout) -> Slices:
    """Where the rows of each slice stand in the holdout: "all", `<field>=<value>`, `<period>=<start>`."""
    from fairlearn.metrics import MetricFrame

    length, form = _PERIODS[use_case.period]
    columns = {name: holdout.frame[name].cast(pl.String).fill_null("null") for name in use_case.slices}
    columns[use_case.period] = holdout.days.dt.truncate(length).dt.strftime(form)
    rows = np.arange(holdout.labels.size)
    found: dict[str, Positions] = {ALL: rows}
    for name, column in columns.items():
        # A metric of its own for each model would have it copy the rows one by one each time: it groups positions, once.
        frame = MetricFrame(metrics={name: _positions}, y_true=rows, y_pred=rows, sensitive_features=column.to_list())
        found |= {f"{name}={value}": positions for value, positions in frame.by_group[name].items()}
    return found


def measured(task: Task, sample: Sample, slices: Slices, base: Measured | None = None) -> Measured:
    """All metrics of a scored holdout on each slice; with those of the base rate each slice has a `skill` too."""
    found = {name: measure(task, sample.where(rows)) for name, rows in slices.items()}
    return found if base is None else {name: with_skill(task, of, base[name]) for name, of in found.items()}


def estimates(of: Measured) -> list[Estimate]:
    """One estimate for each slice and metric, with its interval."""
    found = []
    for slice_name, spreads in of.items():
        for metric, spread in spreads.items():
            low, high = spread.interval or (None, None)
            found.append(Estimate(metric=metric, value=spread.value, n=spread.n, slice=slice_name, low=low, high=high))
    return found


def _positions(rows: npt.ArrayLike, _: npt.ArrayLike) -> Positions:
    return np.sort(np.asarray(rows, dtype=np.intp))
