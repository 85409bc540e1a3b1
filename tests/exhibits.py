"""Exhibits of parcels for each task: measured on scores made up here, with every kind of evidence, or with none but figures."""

from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np

from checks.release_standard import Gate
from lake.evaluation import Card, Difference, Estimate, Evaluation, FeatureEvidence, Finding, Skew
from lake.input_schema import Task
from tests.parcel_training import parcel_use_case
from tests.scenario import manifest, parcel_schema
from trainserve_assets.metrics import Numbers, Sample, Spread, measure
from trainserve_assets.report import Exhibit
from trainserve_assets.use_case import Cost, UseCase

CLASSES = ("early", "on time", "late")
DAYS = 56
PER_DAY = 40
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
FIRST_METRIC = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}


def exhibit(task: Task, *, full: bool = True, card: Card | None = None, depots: tuple[str, ...] = ("north", "south")) -> Exhibit:
    """A candidate beside its baseline; with `full` also a champion, periods, findings, importances and skew."""
    use_case = task_use_case(task, cost=Cost(false_positive=1.0, false_negative=4.0) if full and task == "binary" else None)
    samples = {"trees": scored(task, noise=0.3), "line (baseline)": scored(task, noise=0.6)}
    if full:
        samples["champion"] = scored(task, noise=0.32)
    whole = {name: measure(task, sample) for name, sample in samples.items()}
    estimates = estimates_of("all", whole["trees"])
    depot = np.arange(DAYS * PER_DAY) % len(depots)
    for number, name in enumerate(depots):
        estimates += estimates_of(f"depot={name}", measure(task, samples["trees"].where(depot == number)))
    differences = differences_of("baseline", "line", whole["trees"], whole["line (baseline)"])
    if full:
        differences += differences_of("champion", "c" * 64, whole["trees"], whole["champion"])
        differences.append(msgspec.structs.replace(worse(differences[-1], task), slice=f"depot={depots[-1]}"))
        estimates += period_estimates(samples["trees"].days)
    evaluation = Evaluation(
        use_case=use_case.name,
        candidate="trees",
        task=task,
        package_digest="a" * 64,
        model_version="trees 0.1.0-3.1",
        engine="catboost",
        dataset_version=3,
        dataset_digest="d" * 64,
        split={"train_from": "2013-04-01", "holdout_from": "2013-05-20", "holdout_until": "2013-07-15", "version": "1"},
        trainer="grace",
        release_standard_digest="5" * 64,
        looks=4,
        estimates=tuple(estimates),
        differences=tuple(differences),
        card=card or Card(),
        champion_digest="c" * 64 if full else None,
        **(evidence() if full else {}),
    )
    rival = msgspec.structs.replace(evaluation, candidate="line", package_digest="b" * 64, model_version="line 0.1.0-3.1")
    return Exhibit(use_case=use_case, evaluation=evaluation, manifest=manifest(), samples=samples, rivals=(rival,))


def task_use_case(task: Task, cost: Cost | None) -> UseCase:
    """Parcels as a use case of this task, with two gates on its first metric, one of them out of reach."""
    metric = FIRST_METRIC[task]
    return parcel_use_case(
        input_schema=parcel_schema(task=task, classes=CLASSES if task == "multiclass" else ()),
        cost=cost,
        release_standard=(
            Gate(name="better_than_the_baseline", metric=metric, against="baseline", must_be="at most", limit=0.0),
            Gate(name="next_to_perfect", metric=metric, must_be="at most", limit=1e-6, blocking=False),
        ),
    )


def scored(task: Task, noise: float) -> Sample:
    """Eight weeks of labels, and the scores of a model that sees them through so much noise."""
    generator = np.random.default_rng(5)
    rows = DAYS * PER_DAY
    truth = generator.normal(size=rows)
    seen = truth + noise * generator.normal(size=rows)
    days = np.repeat(np.array([date(2013, 5, 20) + timedelta(days=day) for day in range(DAYS)], dtype="datetime64[D]"), PER_DAY)
    labels, scores = {
        "binary": ((truth > 0).astype(np.float64), column(1 / (1 + np.exp(-2 * seen)))),
        "multiclass": (np.digitize(truth, [-0.5, 0.5]).astype(np.float64), soft(seen)),
        "regression": (truth, column(seen)),
    }[task]
    return Sample(labels=labels, scores=scores, days=days)


def column(values: Numbers) -> Numbers:
    return values.reshape(-1, 1)


def soft(seen: Numbers) -> Numbers:
    """Probabilities of three classes in order, the nearer the likelier."""
    near = np.exp(-2 * np.abs(seen[:, None] - np.array([-1.0, 0.0, 1.0])))
    shares: Numbers = near / near.sum(axis=1, keepdims=True)
    return shares


def estimates_of(slice_name: str, spreads: dict[str, Spread]) -> list[Estimate]:
    found = []
    for metric, one in spreads.items():
        low, high = one.interval or (None, None)
        found.append(Estimate(metric=metric, value=one.value, n=one.n, slice=slice_name, low=low, high=high))
    return found


def differences_of(other: str, name: str, mine: dict[str, Spread], its: dict[str, Spread]) -> list[Difference]:
    found = []
    for metric, spread in ((metric, one.minus(its[metric])) for metric, one in mine.items()):
        low, high = spread.interval or (0.0, 0.0)
        facts = {"metric": metric, "other": other, "other_name": name, "value": spread.value, "n": spread.n, "days": spread.days}
        bounds = {"low": low, "high": high, "family_low": low - 0.01, "family_high": high + 0.01}
        found.append(msgspec.convert({**facts, **bounds}, Difference))
    return found


def worse(one: Difference, task: Task) -> Difference:
    """The same difference, on the first metric and surely to the worse."""
    return msgspec.structs.replace(one, metric=FIRST_METRIC[task], value=0.05, low=0.02, high=0.08)


def period_estimates(days: object) -> list[Estimate]:
    """Skill and predicted over observed in each of the months that the days reach."""
    months = sorted({str(day)[:7] for day in np.asarray(days)})
    return [
        Estimate(metric=metric, value=level - number / 20, n=900, slice=f"month={month}", low=level - 0.2, high=level + 0.1)
        for metric, level in (("skill", 0.4), ("predicted_over_observed", 1.0))
        for number, month in enumerate(months)
    ]


def evidence() -> dict[str, Any]:
    """What goes beyond figures: importances, findings of every topic, and skew."""
    return {
        "features": (
            FeatureEvidence(name="weight_kg", importance=0.6, champion_importance=0.5, alone=0.7),
            FeatureEvidence(name="depot", importance=0.3, champion_importance=0.45, alone=0.55),
            FeatureEvidence(name="express", importance=0.1, alone=0.51),
        ),
        "findings": (
            Finding(topic="leakage", claim="no forbidden field is used", passed=True, found="none of 4", n=4),
            Finding(topic="behaviour", claim="a null weight is answered", passed=False, found="not a number", n=900),
            Finding(topic="engine", claim="sealed samples are repeated to the bit", passed=True, found="32 of 32", n=32),
            Finding(topic="budget", claim="one row within 20 ms", passed=True, found="within 1 ms", n=200),
        ),
        "skew": (Skew(field="weight_kg", compared=500, different=3), Skew(field="depot", compared=500, different=0)),
    }
