"""Metrics over days: against scikit-learn, against rows drawn one by one, and the coverage of their intervals."""

import numpy as np
import numpy.typing as npt
import pytest

from lake.input_schema import Task
from trainserve_assets.metrics import DRAWS, FEWEST_DAYS, Numbers, Sample, measure, with_skill


def sample(generator: np.random.Generator, days: int = 12, per_day: int = 40, shock: float = 0.8, decimals: int = 2) -> Sample:
    """Binary rows whose chance of a positive moves with its day; scores are rounded, so that there are ties."""
    day = np.repeat(np.arange(days), per_day)
    merit = generator.normal(size=day.size)
    chance = 1 / (1 + np.exp(1 - merit - generator.normal(0, shock, days)[day]))
    scores = np.round(1 / (1 + np.exp(1 - merit)), decimals)
    return Sample(labels=(generator.random(day.size) < chance).astype(float), scores=scores[:, None], days=day)


def test_binary_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    rows = sample(np.random.default_rng(1))
    spreads = measure("binary", rows)
    scores = rows.scores[:, 0]
    assert spreads["auc"].value == pytest.approx(roc_auc_score(rows.labels, scores))
    assert spreads["log_loss"].value == pytest.approx(log_loss(rows.labels, scores))
    assert spreads["brier"].value == pytest.approx(brier_score_loss(rows.labels, scores))
    assert spreads["predicted_over_observed"].value == pytest.approx(scores.sum() / rows.labels.sum())
    assert {spread.n for spread in spreads.values()} == {480}


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, log_loss

    generator = np.random.default_rng(2)
    scores = generator.dirichlet([1.0, 2.0, 3.0], size=300)
    labels = generator.integers(0, 3, 300).astype(float)
    spreads = measure("multiclass", Sample(labels=labels, scores=scores, days=np.arange(300) // 30))
    assert spreads["log_loss"].value == pytest.approx(log_loss(labels, scores))
    assert spreads["accuracy"].value == pytest.approx(accuracy_score(labels, scores.argmax(axis=1)))


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import mean_absolute_error, root_mean_squared_error

    generator = np.random.default_rng(3)
    labels, scores = generator.normal(size=(2, 300))
    spreads = measure("regression", Sample(labels=labels, scores=scores[:, None], days=np.arange(300) // 30))
    assert spreads["rmse"].value == pytest.approx(root_mean_squared_error(labels, scores))
    assert spreads["mae"].value == pytest.approx(mean_absolute_error(labels, scores))
    assert spreads["bias"].value == pytest.approx((scores - labels).mean())


def test_draws_are_those_of_scipy_over_the_rows_of_whole_days() -> None:
    """What is computed from sums by day is what drawing the rows of days gives, for AUC with its pairs too."""
    from scipy.stats import bootstrap

    rows = sample(np.random.default_rng(4), days=8)
    draws = measure("binary", rows)
    metrics = ("auc", "log_loss", "brier", "predicted_over_observed")

    def of_rows(days: npt.NDArray[np.intp]) -> Numbers:
        drawn = np.concatenate([np.flatnonzero(rows.days == day) for day in days])
        # One day: of a draw the value alone is asked for.
        found = measure("binary", Sample(labels=rows.labels[drawn], scores=rows.scores[drawn], days=np.zeros(drawn.size)))
        return np.array([found[metric].value for metric in metrics])

    found = bootstrap(
        (np.arange(8),), of_rows, n_resamples=50, vectorized=False, method="percentile", rng=np.random.default_rng(0)
    )
    for metric, drawn in zip(metrics, found.bootstrap_distribution, strict=True):
        assert draws[metric].draws[:50] == pytest.approx(drawn), metric


def test_an_interval_is_scipys_own() -> None:
    from scipy.stats import bootstrap

    rows = sample(np.random.default_rng(10), days=9)
    by_day = np.array([losses(rows.where(rows.days == day)).mean() for day in range(9)])  # days have equally many rows
    found = bootstrap((by_day,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0))
    assert measure("binary", rows)["log_loss"].interval == pytest.approx(tuple(found.confidence_interval))


def test_the_more_looks_the_wider_the_interval_over_all_of_them() -> None:
    spread = measure("binary", sample(np.random.default_rng(11)))["log_loss"]
    once, of_one, of_ten = spread.interval, spread.interval_over(1), spread.interval_over(10)
    assert once == of_one
    assert once is not None
    assert of_ten is not None
    assert of_ten[0] < once[0]
    assert of_ten[1] > once[1]


def test_skill_is_the_share_of_the_base_rates_loss_that_is_saved() -> None:
    from sklearn.metrics import d2_log_loss_score, r2_score

    rows = sample(np.random.default_rng(12), days=9)
    base = Sample(labels=rows.labels, scores=np.full_like(rows.scores, rows.labels.mean()), days=rows.days)
    skill = with_skill("binary", measure("binary", rows), measure("binary", base))["skill"]
    assert skill.value == pytest.approx(d2_log_loss_score(rows.labels, rows.scores[:, 0]))
    assert skill.interval is not None
    assert skill.interval[0] < skill.value < skill.interval[1]

    values = Sample(labels=rows.scores[:, 0] + rows.labels / 9, scores=rows.scores, days=rows.days)
    mean = Sample(labels=values.labels, scores=np.full_like(rows.scores, values.labels.mean()), days=rows.days)
    skill = with_skill("regression", measure("regression", values), measure("regression", mean))["skill"]
    assert skill.value == pytest.approx(r2_score(values.labels, values.scores[:, 0]))


def test_intervals_over_days_hold_the_truth_where_intervals_over_rows_do_not() -> None:
    """Labels that share their day's luck: of 200 holdouts, 95 % of the intervals should hold the loss of all days."""
    truth = losses(sample(np.random.default_rng(5), days=4_000, shock=1.5)).mean()
    by_day = by_row = 0
    for seed in range(200):
        rows = sample(np.random.default_rng(100 + seed), days=40, shock=1.5)
        interval = measure("binary", rows)["log_loss"].interval
        assert interval is not None
        by_day += interval[0] <= truth <= interval[1]
        of_rows = losses(rows)
        by_row += abs(of_rows.mean() - truth) <= 1.96 * of_rows.std() / np.sqrt(of_rows.size)
    assert 178 <= by_day <= 198
    assert by_row < 130


def losses(rows: Sample) -> Numbers:
    scores = np.clip(rows.scores[:, 0], 1e-15, 1 - 1e-15)
    found: Numbers = -(rows.labels * np.log(scores) + (1 - rows.labels) * np.log(1 - scores))
    return found


def test_the_difference_of_two_models_has_a_narrower_interval_than_either() -> None:
    rows = sample(np.random.default_rng(6), days=30)
    worse = Sample(labels=rows.labels, scores=np.clip(rows.scores + 0.02, 0, 1), days=rows.days)
    one, other = measure("binary", rows)["log_loss"], measure("binary", worse)["log_loss"]
    difference = one.minus(other).interval
    assert difference is not None
    assert one.interval is not None
    assert difference[1] - difference[0] < (one.interval[1] - one.interval[0]) / 5


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    spread = measure("binary", sample(np.random.default_rng(7)))["auc"]
    assert spread.minus(spread).interval == (0.0, 0.0)


def test_few_days_have_no_interval() -> None:
    assert measure("binary", sample(np.random.default_rng(8), days=FEWEST_DAYS - 1))["auc"].interval is None
    assert measure("binary", sample(np.random.default_rng(8), days=FEWEST_DAYS))["auc"].interval is not None


def test_what_rows_cannot_tell_is_left_out() -> None:
    rows = sample(np.random.default_rng(9))
    negatives = rows.where(rows.labels == 0)
    spreads = measure("binary", negatives)
    assert "auc" not in spreads
    assert "predicted_over_observed" not in spreads
    assert "log_loss" in spreads


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_no_rows_have_no_metrics(task: Task) -> None:
    assert measure(task, Sample(labels=np.empty(0), scores=np.empty((0, 2)), days=np.empty(0))) == {}


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    rows = Sample(labels=np.array([1.0, 0.0]), scores=np.array([[0.0], [1.0]]), days=np.arange(2))
    assert np.isfinite(measure("binary", rows)["log_loss"].value)
