"""Evidence about values and about classes: use cases that are not binary, trained through Dagster and judged."""

from typing import get_args

import dagster as dg
import numpy as np
import polars as pl
import pytest

from lake.evaluation import Evaluation, Topic
from lake.home import Home
from lake.tables import DATASET
from tests.parcel_training import Platform, failures, multiclass_use_case, regression_use_case
from trainserve_assets.evidence import Judged, judge
from trainserve_assets.metrics import LOSS
from trainserve_assets.use_case import UseCase


def judged(home: Home, instance: dg.DagsterInstance, use_case: UseCase) -> tuple[Platform, dict[str, Judged]]:
    platform = Platform(home, instance, use_case)
    result = platform.run((DATASET, *(f"candidate_{one.name}" for one in use_case.candidates)))
    assert result.success, failures(result)
    return platform, {one.candidate.name: one for one in judge(platform.lake, use_case)}


def complete(evaluation: Evaluation) -> None:
    """What every document has, whatever its task."""
    headline, skill = evaluation.find(LOSS[evaluation.task]), evaluation.find("skill")
    assert headline is not None
    assert skill is not None
    assert skill.low is not None
    assert skill.low > 0
    for topic in get_args(Topic):
        failed = evaluation.find("failed_findings", f"topic={topic}")
        assert failed is not None
        assert (failed.value, failed.n > 0) == (0, True), [one for one in evaluation.findings if not one.passed]
    assert sum(one.importance or 0 for one in evaluation.features) == pytest.approx(1, abs=1e-4)
    assert evaluation.features[0].name == "weight_kg"
    assert max(evaluation.features, key=lambda one: one.alone or 0).name == "weight_kg"
    assert {one.slice for one in evaluation.estimates if one.slice.startswith("month=")} == {"month=2013-05", "month=2013-06"}


def test_values_are_judged_by_their_errors(home: Home, instance: dg.DagsterInstance) -> None:
    from sklearn.metrics import r2_score, root_mean_squared_error

    platform, found = judged(home, instance, regression_use_case())
    for one in found.values():
        complete(one.evaluation)
    trees = found["trees"]
    rmse, skill = trees.evaluation.find("rmse"), trees.evaluation.find("skill")
    assert rmse is not None
    assert rmse.value == pytest.approx(root_mean_squared_error(trees.sample.labels, trees.sample.scores[:, 0]))

    rows = platform.lake.table(platform.use_case.name, DATASET).scan().collect()
    base = rows.filter(split="train")["label"].mean()
    assert isinstance(base, float)
    errors = trees.sample.scores[:, 0] - trees.sample.labels
    assert skill is not None
    assert skill.value == pytest.approx(1 - (errors**2).mean() / ((base - trees.sample.labels) ** 2).mean())

    weight = next(one for one in trees.evaluation.features if one.name == "weight_kg")
    straight = np.polyfit(rows["weight_kg"].to_numpy(), rows["label"].to_numpy(), 1)
    holdout = rows.filter(split="holdout")
    assert weight.alone == pytest.approx(r2_score(holdout["label"], np.polyval(straight, holdout["weight_kg"])), abs=0.05)


def test_classes_are_judged_by_their_probabilities(home: Home, instance: dg.DagsterInstance) -> None:
    from sklearn.metrics import accuracy_score

    platform, found = judged(home, instance, multiclass_use_case())
    for one in found.values():
        complete(one.evaluation)
    trees = found["trees"]
    accuracy = trees.evaluation.find("accuracy")
    assert accuracy is not None
    assert accuracy.value == pytest.approx(accuracy_score(trees.sample.labels, trees.sample.scores.argmax(axis=1)))
    train = platform.lake.table(platform.use_case.name, DATASET).scan().filter(split="train").collect()
    shares = train["label"].value_counts(normalize=True).sort("label")["proportion"]
    assert trees.others["base rate"].scores[0].tolist() == pytest.approx(shares.to_list())
    assert {one.other for one in trees.evaluation.differences} == {"base rate", "baseline"}


def test_a_period_can_be_a_week_or_a_quarter(home: Home, instance: dg.DagsterInstance) -> None:
    platform, _ = judged(home, instance, regression_use_case(period="week"))
    [trees, _] = judge(platform.lake, platform.use_case)
    weeks = {one.slice: one.n for one in trees.evaluation.estimates if one.metric == "rmse" and one.slice.startswith("week=")}
    assert weeks == {"week=2013-05-20": 693, "week=2013-05-27": 693}
    [trees, _] = judge(platform.lake, regression_use_case(period="quarter"))
    quarter = trees.evaluation.find("rmse", "quarter=2013-04")
    assert quarter is not None
    assert quarter.value == getattr(trees.evaluation.find("rmse"), "value", None)
    assert pl.Series([one.n for one in trees.evaluation.estimates if one.slice == "quarter=2013-04"]).unique().to_list() == [1386]
