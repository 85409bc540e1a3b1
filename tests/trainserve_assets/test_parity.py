"""An engine answers in the place of the trained model's own only where every row, and every edge, gives the same bits."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from lake.columns import Columns
from lake.engines import Engine, Row
from lake.engines.boosted_trees import MISSING_CODE
from lake.errors import VerificationError
from lake.input_schema import Task
from lake.package import Package
from tests.trainserve_assets.test_trainers import CARRIERS, EDGES, EVERY, SMALL, lesson, manifest
from trainserve_assets.parity import differing, edge_rows
from trainserve_assets.trainers import Lesson, Trained, train
from trainserve_assets.training import Packed, packed
from trainserve_assets.use_case import Trainer

TREES: tuple[Trainer, ...] = ("catboost", "hist_gradient_boosting")


def frame(learnt: Lesson, rows: slice) -> pl.DataFrame:
    return pl.DataFrame(learnt.rows[rows], schema=list(learnt.features), orient="row", infer_schema_length=None)


def sealed(learnt: Lesson, trained: Trained, engines: Sequence[str] = ("lignum", "linear", "catboost", "sklearn")) -> Packed:
    """The package, of the first engine that repeats the trained model's answers."""
    wanted = [name for name in engines if name in ("lignum", "linear", trained.engine)]
    return packed(trained, manifest(learnt, trained), wanted, frame(learnt, slice(600)), frame(learnt, slice(600, None)))


def edges(learnt: Lesson, package: Package) -> list[Row]:
    return edge_rows(learnt.rows, package.manifest, package.reference().borders())


@pytest.mark.parametrize(("trainer", "task"), EVERY)
def test_trees_are_answered_by_lignum_and_linear_models_by_linear(trainer: Trainer, task: Task) -> None:
    learnt = lesson(task)
    made = sealed(learnt, trained := train(trainer, learnt, SMALL[trainer], seed=1))
    if trainer in TREES:
        assert (made.package.manifest.engine, made.passed_over) == ("lignum", {})
    else:
        assert made.package.manifest.engine == "linear"
        assert made.passed_over == {"lignum": "a Pipeline has no trees that it reads"}
    assert made.package.manifest.reference == trained.engine
    rows = [*learnt.rows, *EDGES, *edges(learnt, made.package)]
    loaded = made.package.load()
    assert loaded.instead is None
    assert differing(loaded.engine, learnt.features, rows, trained.predict(rows)) == 0


@pytest.mark.parametrize("classes", [8, 9, 17, 40])
@pytest.mark.parametrize("trainer", ["catboost", "hist_gradient_boosting", "logistic_regression"])
def test_with_many_classes_too_a_row_alone_gets_the_answer_that_it_gets_in_a_batch(trainer: Trainer, classes: int) -> None:
    learnt = lesson("regression")
    limits = np.quantile(learnt.labels, np.linspace(0, 1, classes + 1)[1:-1])
    learnt = msgspec.structs.replace(learnt, task="multiclass", labels=np.digitize(learnt.labels, limits).astype(float))
    trained = train(trainer, learnt, SMALL[trainer], seed=1)
    made = sealed(learnt, trained)
    assert made.package.manifest.engine == ("lignum" if trainer in TREES else "linear")
    rows = [*learnt.rows[:60], *EDGES]
    expected = trained.predict(rows)
    for engine in (made.package.as_named(), made.package.reference()):
        assert engine.scores(rows) == expected
        assert [engine.scores([row])[0] for row in rows] == expected
        assert [scores for row in range(0, len(rows), 2) for scores in engine.scores(rows[row : row + 2])] == expected


def test_edges_are_nulls_unseen_categories_and_both_sides_of_every_border() -> None:
    learnt = lesson("binary")
    package = sealed(learnt, train("catboost", learnt, SMALL["catboost"], seed=1)).package
    made = edges(learnt, package)
    borders = package.reference().borders()
    weights = {row[1] for row in made} - {None}
    assert {None, *CARRIERS, "(never seen)", ""} <= {row[0] for row in made}
    assert borders[1]
    for border in borders[1]:
        assert border in weights
        assert {math.nextafter(border, -math.inf), math.nextafter(border, math.inf)} <= weights
    assert any(row[2] is None for row in made)
    assert {row[3] for row in made} == {None, True, False}


@pytest.mark.parametrize("trainer", TREES)
def test_an_engine_with_one_leaf_that_is_one_bit_off_is_passed_over(trainer: Trainer) -> None:
    learnt = lesson("regression")
    trained = train(trainer, learnt, SMALL[trainer], seed=1)
    other = msgspec.structs.replace(trained, predict=lambda rows: _nudged(trained, rows))
    with pytest.raises(VerificationError, match=r"lignum: 1 of [\d,]+ answers differ; .*: 1 of [\d,]+ answers differ"):
        sealed(learnt, other)


def _nudged(trained: Trained, rows: Sequence[Row]) -> list[list[float]]:
    """The trained model's answers, but for the last bit of the last."""
    *scores, [last] = trained.predict(rows)
    return [*scores, [math.nextafter(last, math.inf)]]


class _ApartByColumns:
    """An engine that is right by rows, and by columns one bit off in the last of each batch."""

    name = "apart"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        return self._engine.scores(rows)

    def scores_of_columns(self, columns: Columns) -> list[list[float]]:
        *others, last = self._engine.scores(columns.rows(("carrier", "weight_kg", "stops", "express")))
        return [*others, [math.nextafter(score, math.inf) for score in last]]


def test_an_engine_that_is_one_bit_off_by_columns_alone_differs() -> None:
    learnt = lesson("regression")
    trained = train("catboost", learnt, SMALL["catboost"], seed=1)
    engine = sealed(learnt, trained).package.load().engine
    rows = learnt.rows[:120]
    assert differing(engine, learnt.features, rows, trained.predict(rows)) == 0
    assert differing(_ApartByColumns(engine), learnt.features, rows, trained.predict(rows)) == 3  # batches of 50


def test_a_use_case_that_insists_is_answered_by_the_reference() -> None:
    learnt = lesson("binary")
    made = sealed(learnt, train("catboost", learnt, SMALL["catboost"], seed=1), engines=["catboost"])
    assert (made.package.manifest.engine, made.passed_over) == ("catboost", {})


def test_a_model_of_a_link_that_is_not_known_exactly_stays_with_its_own_library() -> None:
    learnt = lesson("regression")
    positive = msgspec.structs.replace(learnt, labels=abs(learnt.labels))
    made = sealed(positive, train("hist_gradient_boosting", positive, {"max_iter": 3, "loss": "poisson"}, seed=1))
    assert made.package.manifest.engine == "sklearn"
    assert made.passed_over == {
        "lignum": "a model with the link LogLink has sums that it knows no scores of",
        "linear": "a HistGradientBoostingRegressor is no linear model that it knows the scores of",
    }


@pytest.mark.parametrize("trainer", TREES)
def test_a_file_that_is_broken_is_answered_by_the_trained_models_own_engine(trainer: Trainer) -> None:
    learnt = lesson("binary")
    trained = train(trainer, learnt, SMALL[trainer], seed=1)
    package = sealed(learnt, trained).package
    broken = {"trees.txt": b"tree\nnot one\n"} if trainer != "catboost" else {}
    files = {**package.files, **broken}
    foreign = msgspec.structs.replace(package.manifest, engine="lignum" if broken else "sklearn")
    loaded = msgspec.structs.replace(package, files=files, manifest=foreign).load()
    assert loaded.engine.name == trained.engine
    assert loaded.instead is not None
    assert loaded.instead.startswith(f"{trained.engine} answers in the place of ")
    assert loaded.engine.scores(learnt.rows[:50]) == trained.predict(learnt.rows[:50])


def test_a_category_of_as_many_values_as_there_may_be_keeps_a_place_for_null() -> None:
    """255 categories have the codes 0 to 254."""
    learnt = lesson("binary", rows=1_530)
    names = tuple(f"c{number:03}" for number in range(MISSING_CODE))
    rows: list[tuple[Any, ...]] = [
        (None if number % 13 == 0 else names[number % len(names)], *row[1:]) for number, row in enumerate(learnt.rows)
    ]
    wide = msgspec.structs.replace(learnt, categories={"carrier": names}, rows=rows)
    trained = train("hist_gradient_boosting", wide, {"max_iter": 20}, seed=1)
    made = sealed(wide, trained)
    assert made.package.manifest.engine == "lignum"
    every: list[Row] = [(name, *row[1:]) for name in (*names, None, "rocket") for row in rows[:3]]
    assert made.package.load().engine.scores(every) == trained.predict(every)
