"""Curves of scored rows, as frames of few points: what the charts of a report are drawn from."""

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from lake.input_schema import Task
from trainserve_assets.metrics import BINS, Numbers, Sample
from trainserve_assets.use_case import Cost

POINTS = 100
Positions = npt.NDArray[np.intp]
_PER = 1_000


class Threshold(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of taking rows from this score on for positive: shares of rows, and the cost of 1,000 rows."""

    threshold: float
    flagged: float
    precision: float | None
    recall: float
    cost: float | None


def by_model(curves: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Curves below each other, with the model's name in column `model`."""
    return pl.concat([frame.with_columns(model=pl.lit(name)) for name, frame in curves.items()])


def reliability(task: Task, sample: Sample) -> pl.DataFrame:
    """Tenths of the rows by what was predicted: mean `predicted` and `observed`, which should be equal, and `n`.

    Of classes it is the probability of the likeliest one, against the share that was of that class.
    """
    predicted, observed = predicted_and_observed(task, sample)
    tenth = _tenths(predicted)
    n = np.bincount(tenth)
    means = {"predicted": _means(tenth, predicted), "observed": _means(tenth, observed)}
    return pl.DataFrame({**means, "n": n}).filter(pl.col("n") > 0)


def through_time(task: Task, sample: Sample, most: int = 60) -> pl.DataFrame:
    """Mean `predicted` and `observed` by `day`, or by runs of so many days that there are at most `most` of them."""
    predicted, observed = predicted_and_observed(task, sample)
    days, place = np.unique(sample.days, return_inverse=True)
    run = -(-days.size // most)
    means = {"predicted": _means(place // run, predicted), "observed": _means(place // run, observed)}
    return pl.DataFrame({"day": days[::run], **means})


def roc(sample: Sample) -> pl.DataFrame:
    """Receiver operating characteristic: share of positives found (`true`) by share of negatives taken for them (`false`)."""
    positive = _ranked(sample)
    true, false = np.cumsum(positive) / max(positive.sum(), 1), np.cumsum(~positive) / max((~positive).sum(), 1)
    at = _spread(positive.size)
    return pl.DataFrame({"false": np.append(0.0, false[at]), "true": np.append(0.0, true[at])})


def precision_recall(sample: Sample) -> pl.DataFrame:
    """Share of the flagged rows that are positive (`precision`) by share of the positives that are flagged (`recall`)."""
    positive = _ranked(sample)
    found = np.cumsum(positive)
    at = _spread(positive.size)
    return pl.DataFrame({"recall": (found / max(positive.sum(), 1))[at], "precision": (found / np.arange(1, found.size + 1))[at]})


def thresholds(sample: Sample, cost: Cost | None) -> list[Threshold]:
    """What each threshold from 0 to 1 in steps of a hundredth would do to these rows."""
    scores, positive = sample.scores[:, 0], sample.labels > 0
    found = []
    for step in range(POINTS + 1):
        flagged = scores >= step / POINTS
        wrong, missed = int((flagged & ~positive).sum()), int((~flagged & positive).sum())
        right = int(flagged.sum()) - wrong
        spent = None if cost is None else (wrong * cost.false_positive + missed * cost.false_negative) / scores.size * _PER
        found.append(
            Threshold(
                threshold=step / POINTS,
                flagged=float(flagged.mean()),
                precision=right / (right + wrong) if right + wrong else None,
                recall=right / max(right + missed, 1),
                cost=spent,
            )
        )
    return found


def confusion(sample: Sample, classes: tuple[str, ...]) -> pl.DataFrame:
    """Of the rows of each class (`observed`) the `share` for which each class was the likeliest (`predicted`), and `n`."""
    names = np.array(classes)
    frame = pl.DataFrame({"observed": names[sample.labels.astype(np.intp)], "predicted": names[sample.scores.argmax(axis=1)]})
    counts = frame.group_by("observed", "predicted").agg(n=pl.len())
    every = pl.DataFrame({"observed": classes}).join(pl.DataFrame({"predicted": classes}), how="cross")
    filled = every.join(counts, on=["observed", "predicted"], how="left").with_columns(pl.col("n").fill_null(0))
    return filled.with_columns(share=pl.col("n") / pl.col("n").sum().over("observed").clip(lower_bound=1))


def residuals(sample: Sample) -> pl.DataFrame:
    """Predicted minus observed by tenths of the prediction: `middle` (median), and where 80 % of them lie (`low`, `high`)."""
    predicted = sample.scores[:, 0]
    tenth = _tenths(predicted)
    residual = pl.col("residual")
    frame = (
        pl.DataFrame({"tenth": tenth, "residual": predicted - sample.labels})
        .group_by("tenth")
        .agg(middle=residual.median(), low=residual.quantile(0.1), high=residual.quantile(0.9))
    )
    return frame.sort("tenth").with_columns(predicted=_means(tenth, predicted)[np.unique(tenth)]).drop("tenth")


def predicted_and_observed(task: Task, sample: Sample) -> tuple[Numbers, Numbers]:
    """What should agree on average: score and label; of classes the likeliest one's probability and whether it was right."""
    if task != "multiclass":
        return sample.scores[:, 0], sample.labels
    return sample.scores.max(axis=1), (sample.scores.argmax(axis=1) == sample.labels).astype(np.float64)


def _tenths(predicted: Numbers) -> Positions:
    """Which tenth of the predictions each row belongs to; where many are equal some tenths stay empty."""
    return np.searchsorted(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]), predicted, side="right")


def _means(group: Positions, values: Numbers) -> Numbers:
    """The mean of each group, NaN for an empty one. Summed row by row, so that the same rows give the same bits."""
    n = np.bincount(group).astype(np.float64)
    return np.divide(np.bincount(group, weights=values), n, out=np.full_like(n, np.nan), where=n > 0)


def _ranked(sample: Sample) -> npt.NDArray[np.bool_]:
    """Whether each row is positive, the highest score first."""
    return sample.labels[np.argsort(-sample.scores[:, 0], kind="stable")] > 0


def _spread(rows: int) -> Positions:
    return np.linspace(0, rows - 1, min(POINTS, rows)).astype(np.intp)
