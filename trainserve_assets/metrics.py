"""Metrics of a model over days: values, and their 95 % intervals by drawing whole days again.

Rows of one day are not independent, since bad weather moves all its flights: the day is what is drawn. Each metric is
first summed by day, so that a thousand draws cost one product of matrices; AUC too, by counting the ordered pairs of
each day with each other day.
"""

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from lake.input_schema import Task

DRAWS = 1_000
# With fewer days no interval is given: it would claim to know what a few days cannot tell.
FEWEST_DAYS = 7
BINS = 10
_SMALLEST_PROBABILITY = 1e-15

Numbers = npt.NDArray[np.float64]
Days = npt.NDArray[np.intp]
# From how often each day counts, shape (draws, days), to each metric's values, shape (draws,).
Metrics = Callable[[Numbers], dict[str, Numbers]]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Scored rows. `labels` has shape (rows,), `scores` (rows, 1 or classes), `days` (rows,) of any sortable type."""

    labels: Numbers
    scores: Numbers
    days: npt.NDArray[np.generic]

    def where(self, mask: npt.NDArray[np.bool_]) -> "Sample":
        """Some of the rows."""
        return Sample(labels=self.labels[mask], scores=self.scores[mask], days=self.days[mask])


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: its value, its draws, and over how many rows and days. The interval is None over too few days."""

    value: float
    draws: Numbers
    n: int
    days: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval."""
        draws = self.draws[np.isfinite(self.draws)]
        if self.days < FEWEST_DAYS or not draws.size:
            return None
        low, high = np.percentile(draws, [2.5, 97.5])
        return float(low), float(high)

    def minus(self, other: "Spread") -> "Spread":
        """The difference on the same rows and the same draws."""
        return Spread(value=self.value - other.value, draws=self.draws - other.draws, n=self.n, days=self.days)


def measure(task: Task, sample: Sample) -> dict[str, Spread]:
    """All metrics of a task on these rows; one that they cannot tell, as the AUC of one class alone, is left out."""
    days, day = np.unique(sample.days, return_inverse=True)
    if not days.size:
        return {}
    at = _METRICS[task](sample, day, days.size)
    values, draws = at(np.ones((1, days.size))), at(_draws(days.size))
    return {
        name: Spread(value=float(value[0]), draws=draws[name], n=sample.labels.size, days=days.size)
        for name, value in values.items()
        if np.isfinite(value[0])
    }


def _draws(days: int) -> Numbers:
    """How often each day is drawn, shape (draws, days); the same for every model, so that differences are paired."""
    return np.random.default_rng(0).multinomial(days, np.full(days, 1 / days), size=DRAWS).astype(np.float64)


def _binary(sample: Sample, day: Days, days: int) -> Metrics:
    labels, scores = sample.labels, sample.scores[:, 0]
    inside = np.clip(scores, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    log_loss = _by_day(-(labels * np.log(inside) + (1 - labels) * np.log1p(-inside)), day, days)
    brier = _by_day((scores - labels) ** 2, day, days)
    rows, predicted, observed = (_by_day(values, day, days) for values in (np.ones_like(labels), scores, labels))
    gaps = _gaps(scores, scores - labels, day, days)
    pairs = _ordered_pairs(labels > 0, scores, day, days)

    def at(weights: Numbers) -> dict[str, Numbers]:
        n = weights @ rows
        return {
            "auc": _ratio(((weights @ pairs) * weights).sum(axis=1), (weights @ observed) * (weights @ (rows - observed))),
            "log_loss": _ratio(weights @ log_loss, n),
            "brier": _ratio(weights @ brier, n),
            "calibration_error": _ratio(np.abs(weights @ gaps).sum(axis=1), n),
            "predicted_over_observed": _ratio(weights @ predicted, weights @ observed),
        }

    return at


def _multiclass(sample: Sample, day: Days, days: int) -> Metrics:
    labels = sample.labels.astype(np.intp)
    truth = np.eye(sample.scores.shape[1])[labels]
    top = sample.scores.argmax(axis=1)
    right = (top == labels).astype(np.float64)
    inside = np.clip(sample.scores[np.arange(labels.size), labels], _SMALLEST_PROBABILITY, 1.0)
    rows, log_loss, brier, accuracy = (
        _by_day(values, day, days)
        for values in (np.ones(labels.size), -np.log(inside), ((sample.scores - truth) ** 2).sum(axis=1), right)
    )
    confidence = sample.scores.max(axis=1)
    gaps = _gaps(confidence, confidence - right, day, days)

    def at(weights: Numbers) -> dict[str, Numbers]:
        n = weights @ rows
        return {
            "accuracy": _ratio(weights @ accuracy, n),
            "log_loss": _ratio(weights @ log_loss, n),
            "brier": _ratio(weights @ brier, n),
            "calibration_error": _ratio(np.abs(weights @ gaps).sum(axis=1), n),
        }

    return at


def _regression(sample: Sample, day: Days, days: int) -> Metrics:
    error = sample.scores[:, 0] - sample.labels
    rows, squared, absolute, signed = (
        _by_day(values, day, days) for values in (np.ones_like(error), error**2, np.abs(error), error)
    )

    def at(weights: Numbers) -> dict[str, Numbers]:
        n = weights @ rows
        return {
            "rmse": np.sqrt(_ratio(weights @ squared, n)),
            "mae": _ratio(weights @ absolute, n),
            "bias": _ratio(weights @ signed, n),
        }

    return at


_METRICS: dict[Task, Callable[[Sample, Days, int], Metrics]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}


def _by_day(values: Numbers, day: Days, days: int) -> Numbers:
    """Sums by day, shape (days,)."""
    sums: Numbers = np.bincount(day, weights=values, minlength=days).astype(np.float64)
    return sums


def _gaps(scores: Numbers, gap: Numbers, day: Days, days: int) -> Numbers:
    """Sums of predicted minus observed by day and by tenth of the scores, shape (days, tenths)."""
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = day * BINS + np.searchsorted(edges, scores, side="right")
    return _by_day(gap, place, days * BINS).reshape(days, BINS)


def _ordered_pairs(positive: npt.NDArray[np.bool_], scores: Numbers, day: Days, days: int) -> Numbers:
    """How many pairs of a positive of one day and a negative of another are in order, ties half; shape (days, days)."""
    pairs = np.zeros((days, days))
    high, high_day = scores[positive], day[positive]
    for other in range(days):
        low = np.sort(scores[~positive & (day == other)])
        below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
        pairs[:, other] = np.bincount(high_day, weights=below / 2, minlength=days)
    return pairs


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)
