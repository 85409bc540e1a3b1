"""Trainers and the engines that serve what they train: each task, repeatable, and loaded from nothing unexpected."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from lake.documents import sha256
from lake.engines import Engine, reference
from lake.engines.sklearn import TRUSTED
from lake.errors import SettingError, VerificationError
from lake.input_schema import Task
from lake.package import Manifest
from trainserve_assets.trainers import Lesson, Trained, train
from trainserve_assets.use_case import Trainer

CARRIERS = ("bike", "truck", "van")
SMALL: dict[Trainer, dict[str, Any]] = {
    "catboost": {"iterations": 12, "depth": 3},
    "hist_gradient_boosting": {"max_iter": 8, "max_leaf_nodes": 5},
    "logistic_regression": {},
    "linear_regression": {},
}
TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")
# A linear model of one kind has no task of the other.
FOREIGN: list[tuple[Trainer, Task]] = [
    ("logistic_regression", "regression"),
    ("linear_regression", "binary"),
    ("linear_regression", "multiclass"),
]
EVERY = [(trainer, task) for trainer in SMALL for task in TASKS if (trainer, task) not in FOREIGN]
# What no training row has: only nulls, a category never seen, and the ends of the numbers.
EDGES: list[tuple[Any, ...]] = [
    (None, None, None, None),
    ("rocket", 1.5, 3, True),
    ("", 0.0, 0, False),
    ("van", 1e300, 2**53, True),
    ("bike", -1e300, -(2**53), False),
]


def lesson(task: Task, rows: int = 900) -> Lesson:
    """Parcels with a category, a number and an integer that are sometimes null, and a boolean."""
    generator = np.random.default_rng(11)
    carrier = [None if number == len(CARRIERS) else CARRIERS[number] for number in generator.integers(0, len(CARRIERS) + 1, rows)]
    weight = generator.normal(10, 3, rows)
    stops = generator.integers(0, 9, rows).tolist()
    express = (generator.random(rows) < 0.5).tolist()
    merit = weight / 10 + generator.normal(0, 0.3, rows) - np.array(express)
    labels = {
        "binary": (merit > np.median(merit)).astype(float),
        "multiclass": np.digitize(merit, np.quantile(merit, [0.3, 0.6])).astype(float),
        "regression": merit,
    }
    return Lesson(
        task=task,
        features=("carrier", "weight_kg", "stops", "express"),
        categories={"carrier": CARRIERS},
        rows=[
            (one, None if number % 9 == 0 else kg, None if number % 7 == 0 else count, fast)
            for number, (one, kg, count, fast) in enumerate(zip(carrier, weight.tolist(), stops, express, strict=True))
        ],
        labels=labels[task],
    )


def manifest(learnt: Lesson, trained: Trained) -> Manifest:
    return Manifest(
        use_case="late_parcel",
        candidate="one",
        task=learnt.task,
        engine=trained.engine,
        reference=trained.engine,
        features=learnt.features,
        categories=dict(learnt.categories),
        seed=1,
        training_parameters=trained.parameters,
        source_revision="unknown",
        dataset_version=0,
        dataset_digest="",
        split={},
        input_schema_version=1,
        library_versions={},
    )


def served(learnt: Lesson, trained: Trained) -> Engine:
    """The model as a server has it: saved, and loaded from its bytes."""
    module = reference(trained.engine)
    return module.load({module.FILE: module.save(trained.model)}, manifest(learnt, trained))


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_what_is_served_is_what_was_trained_to_the_bit(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    trained = train(trainer, learnt, SMALL[trainer], seed=1)
    rows: Sequence[Any] = [*learnt.rows, *EDGES]
    scores = served(learnt, trained).scores(rows)
    assert scores == trained.predict(rows)
    assert {len(one) for one in scores} == {3 if task == "multiclass" else 1}


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_a_row_alone_gets_the_answer_that_it_gets_in_a_batch(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    engine = served(learnt, train(trainer, learnt, SMALL[trainer], seed=1))
    rows = [*learnt.rows[:40], *EDGES]
    assert [engine.scores([row])[0] for row in rows] == engine.scores(rows)


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_so_it_does_where_no_feature_is_a_category(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    numbers = [tuple(row[1:]) for row in learnt.rows]
    learnt = msgspec.structs.replace(learnt, features=learnt.features[1:], categories={}, rows=numbers)
    trained = train(trainer, learnt, SMALL[trainer], seed=1)
    engine = served(learnt, trained)
    assert [engine.scores([row])[0] for row in numbers] == trained.predict(numbers)


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_a_model_learns_what_is_there_to_learn(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    scores = np.array(served(learnt, train(trainer, learnt, SMALL[trainer], seed=1)).scores(learnt.rows))
    if task == "regression":
        assert np.corrcoef(scores[:, 0], learnt.labels)[0, 1] > 0.7
    else:
        chosen = scores.argmax(axis=1) if task == "multiclass" else (scores[:, 0] > 0.5)
        assert (chosen == learnt.labels).mean() > 0.6


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_training_twice_gives_the_same_model(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    one, other = (train(trainer, learnt, SMALL[trainer], seed=1) for _ in range(2))
    assert one.predict([*learnt.rows, *EDGES]) == other.predict([*learnt.rows, *EDGES])
    if trainer == "catboost":
        save = reference(one.engine).save
        assert save(one.model) == save(other.model)


def test_catboosts_file_is_the_same_on_any_number_of_threads() -> None:
    learnt = lesson("binary")
    files = [
        reference("catboost").save(train("catboost", learnt, {**SMALL["catboost"], "thread_count": threads}, seed=1).model)
        for threads in (1, 2, 5)
    ]
    assert len({sha256(data) for data in files}) == 1


def test_catboosts_file_keeps_its_parameters() -> None:
    import catboost

    learnt = lesson("binary")
    data = reference("catboost").save(train("catboost", learnt, SMALL["catboost"], seed=1).model)
    model = catboost.CatBoost()
    model.load_model(blob=data)
    parameters = msgspec.json.decode(model.get_metadata()["params"])
    assert parameters["boosting_options"]["iterations"] == 12
    assert parameters["tree_learner_options"]["depth"] == 3


def test_the_trusted_types_are_exactly_what_our_pipelines_hold() -> None:
    import skops.io

    needed: set[str] = set()
    for trainer, task in EVERY:
        if trainer != "catboost":
            trained = train(trainer, lesson(task), SMALL[trainer], seed=1)
            needed |= set(skops.io.get_untrusted_types(data=reference("sklearn").save(trained.model)))
    assert needed == set(TRUSTED)


def test_a_pipeline_with_any_other_type_is_not_loaded() -> None:
    import skops.io
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    learnt = lesson("binary")
    trained = train("logistic_regression", learnt, {}, seed=1)
    foreign = bytes(skops.io.dumps(make_pipeline(FunctionTransformer(sha256), trained.model)))
    with pytest.raises(VerificationError, match=r"lake\.documents\.sha256"):
        reference("sklearn").load({"model.skops": foreign}, manifest(learnt, trained))


def test_a_number_too_far_out_for_a_linear_model_is_named() -> None:
    learnt = lesson("binary")
    far = msgspec.structs.replace(learnt, rows=[("van", 1e200, 3, True), *learnt.rows[1:]])
    with pytest.raises(
        SettingError, match=r"the furthest value of 'weight_kg' is 1e\+200, expected numbers whose squares add up"
    ):
        train("logistic_regression", far, {}, seed=1)
    assert train("catboost", far, SMALL["catboost"], seed=1)


@pytest.mark.parametrize(("trainer", "task"), FOREIGN)
def test_a_linear_model_of_the_other_kind_is_refused_and_the_right_one_named(trainer: Trainer, task: Task) -> None:
    with pytest.raises(SettingError, match=r"expected (linear|logistic)_regression: this one predicts"):
        train(trainer, lesson(task), SMALL[trainer], seed=1)
