"""Metrics of a model over days: values, and their 95 % intervals by drawing whole days again.

Rows of one day are not independent, since bad weather moves all its flights: the day is what is drawn, with
replacement, by scipy's bootstrap. Each metric is first summed by day, so that all draws cost one product of matrices;
AUC too, by counting the ordered pairs of each day with each other day.

The intervals are percentiles of the draws. BCa would correct them for skew, but it needs every metric without each one
day and draws that vary: it has no answer for the AUC of a slice with one late day, or for a model beside itself.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from lake.input_schema import Task

# With 25 looks at a holdout the interval over all of them still rests on 5 draws at each end.
DRAWS = 4_999
# With fewer days no interval is given: it would claim to know what a few days cannot tell.
FEWEST_DAYS = 7
BINS = 10
_SMALLEST_PROBABILITY = 1e-15

# What each task is judged by first; less of it is better.
LOSS: Mapping[Task, str] = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}

Numbers = npt.NDArray[np.float64]
Days = npt.NDArray[np.intp]
# From how often each day counts, shape (draws, days), to each metric's values, shape (draws,).
Metrics = Callable[[Numbers], dict[str, Numbers]]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Scored rows. `labels` has shape (rows,), `scores` (rows, 1 or classes), `days` (rows,) of any sortable type."""

    labels: Numbers
    scores: Numbers
    days: npt.NDArray[np.generic]

    def where(self, rows: npt.NDArray[np.bool_ | np.intp]) -> "Sample":
        """Some of the rows, by a mask or by their positions."""
        return Sample(labels=self.labels[rows], scores=self.scores[rows], days=self.days[rows])


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: its value, its draws, and over how many rows and days. Over too few days there are no draws."""

    value: float
    draws: Numbers
    n: int
    days: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, or None without draws."""
        return self.interval_over(1)

    def interval_over(self, looks: int) -> tuple[float, float] | None:
        """The interval that holds with 95 % over this many looks together (Bonferroni), or None without draws."""
        draws = self.draws[np.isfinite(self.draws)]
        if not draws.size:
            return None
        tail = 2.5 / looks
        low, high = np.percentile(draws, [tail, 100 - tail])
        return float(low), float(high)

    def minus(self, other: "Spread") -> "Spread":
        """The difference on the same rows and the same draws."""
        return Spread(value=self.value - other.value, draws=self.draws - other.draws, n=self.n, days=self.days)


def measure(task: Task, sample: Sample) -> dict[str, Spread]:
    """All metrics of a task on these rows; one that they cannot tell, as the AUC of one class alone, is left out.

    Samples of equal days are drawn alike, so that the differences of two models on the same rows are paired.
    """
    days, day = np.unique(sample.days, return_inverse=True)
    if not days.size:
        return {}
    at = _METRICS[task](sample, day, days.size)
    values = at(np.ones((1, days.size)))
    draws = _drawn(at, days.size) if days.size >= FEWEST_DAYS else np.empty((len(values), 0))
    return {
        name: Spread(value=float(value[0]), draws=drawn, n=sample.labels.size, days=days.size)
        for (name, value), drawn in zip(values.items(), draws, strict=True)
        if np.isfinite(value[0])
    }


def with_skill(task: Task, spreads: Mapping[str, Spread], base: Mapping[str, Spread]) -> dict[str, Spread]:
    """The metrics and `skill`, the share of the base rate's loss that a model saves: 1 - loss / loss of the base rate.

    The loss is the log-loss of classes and the squared error of values. Without a loss of the base rate there is none.
    """
    ours, usual = spreads.get(LOSS[task]), base.get(LOSS[task])
    if ours is None or usual is None or usual.value == 0:
        return dict(spreads)
    power = 2 if task == "regression" else 1
    saved = 1 - _ratio(ours.draws, usual.draws) ** power
    skill = Spread(value=1 - (ours.value / usual.value) ** power, draws=saved, n=ours.n, days=ours.days)
    return {**spreads, "skill": skill}


def _drawn(at: Metrics, days: int) -> Numbers:
    """Each metric at each draw of as many days with replacement, shape (metrics, draws)."""
    from scipy.stats import DegenerateDataWarning, bootstrap

    def metrics(drawn: npt.NDArray[np.intp], axis: int) -> Numbers:
        flat = drawn.reshape(-1, drawn.shape[axis])
        place = flat + days * np.arange(len(flat))[:, None]
        times = np.bincount(place.ravel(), minlength=days * len(flat)).reshape(-1, days)
        return np.stack(list(at(times.astype(np.float64)).values())).reshape(-1, *drawn.shape[:-1])

    with warnings.catch_warnings():
        # Some draws lack what a metric needs, as days with a positive: `Spread` leaves these out, where scipy gives up.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found: Any = bootstrap(
            (np.arange(days),), metrics, n_resamples=DRAWS, vectorized=True, method="percentile", rng=np.random.default_rng(0)
        )
    draws: Numbers = found.bootstrap_distribution
    return draws


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
