"""Linear models of scikit-learn, whatever their columns are made by, are answered by `linear` with their own bits."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from lake.documents import DocumentStore
from lake.engines import Row, Untranslatable, linear
from lake.engines.sklearn import MatrixCoder
from lake.input_schema import Task
from lake.package import put_package
from tests.trainserve_assets.test_parity import sealed
from tests.trainserve_assets.test_trainers import EDGES, lesson, manifest
from trainserve_assets.parity import differing, edge_rows
from trainserve_assets.trainers import Lesson, Trained, train

CARRIER, NUMBERS, STOPS, EXPRESS = [0], [1, 2], [2], [3]
ONE_HOT = ("carrier", OneHotEncoder(handle_unknown="ignore"), CARRIER)

COLUMNS: dict[str, list[Any]] = {
    "standardized, nulls marked": [ONE_HOT, ("n", make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), NUMBERS)],
    "not centred": [ONE_HOT, ("n", make_pipeline(SimpleImputer(), StandardScaler(with_mean=False)), NUMBERS)],
    "not scaled": [ONE_HOT, ("n", make_pipeline(SimpleImputer(), StandardScaler(with_std=False)), NUMBERS)],
    "scaled before nulls are filled": [ONE_HOT, ("n", make_pipeline(StandardScaler(), SimpleImputer()), NUMBERS)],
    "between 0 and 1": [ONE_HOT, ("n", make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler(clip=True)), NUMBERS)],
    "between -2 and 3": [ONE_HOT, ("n", make_pipeline(SimpleImputer(), MinMaxScaler((-2, 3))), NUMBERS)],
    "by the greatest": [ONE_HOT, ("n", make_pipeline(SimpleImputer(), MaxAbsScaler(clip=True)), NUMBERS)],
    "by quantiles": [ONE_HOT, ("n", make_pipeline(SimpleImputer(fill_value=-1.5, strategy="constant"), RobustScaler()), NUMBERS)],
    "by quantiles, not centred": [ONE_HOT, ("n", make_pipeline(SimpleImputer(), RobustScaler(with_centering=False)), NUMBERS)],
    "numbers first, twice": [("n", SimpleImputer(), NUMBERS), ONE_HOT, ("again", SimpleImputer(), NUMBERS)],
    "the first category dropped": [("carrier", OneHotEncoder(drop=[0.0]), CARRIER), ("n", SimpleImputer(), NUMBERS)],
    "flags of two values as one": [
        ONE_HOT,
        ("express", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="if_binary")), EXPRESS),
    ],
    "whole numbers one by one": [ONE_HOT, ("stops", OneHotEncoder(handle_unknown="ignore"), STOPS)],
    "a category as a number too": [("code", SimpleImputer(strategy="most_frequent"), CARRIER), ONE_HOT],
    "what passes, what is dropped": [
        ("express", make_pipeline("passthrough", FunctionTransformer(), SimpleImputer()), EXPRESS),
        ("stops", "drop", STOPS),
        ONE_HOT,
    ],
    "nothing but nulls": [ONE_HOT, ("nulls", MissingIndicator(sparse=True, error_on_new=False), NUMBERS)],
}

MODELS: list[tuple[Any, Task]] = [
    (LogisticRegression(), "binary"),
    (LogisticRegression(solver="liblinear", fit_intercept=False), "binary"),
    (LogisticRegression(), "multiclass"),
    (SGDClassifier(loss="log_loss", max_iter=5, tol=None), "binary"),
    (SGDClassifier(loss="log_loss", max_iter=5, tol=None), "multiclass"),
    (LinearRegression(), "regression"),
    (Ridge(), "regression"),
    (Lasso(alpha=0.01), "regression"),
    (ElasticNet(alpha=0.01), "regression"),
    (SGDRegressor(max_iter=5, tol=None), "regression"),
]


def fitted(blocks: Sequence[Any], last: Any, task: Task, **options: Any) -> tuple[Lesson, Trained]:
    """A pipeline of these columns, fitted."""
    learnt = lesson(task)
    learnt = msgspec.structs.replace(learnt, labels=abs(learnt.labels))  # some models know no other
    matrix = MatrixCoder(learnt.features, learnt.categories)
    columns = ColumnTransformer(list(blocks), **{"sparse_threshold": 1.0, **options})
    model = make_pipeline(columns, last).fit(matrix(learnt.rows), learnt.labels)

    def predict(rows: Sequence[Row]) -> list[list[float]]:
        if task == "regression":
            return [[value] for value in model.predict(matrix(rows)).tolist()]
        scores: list[list[float]] = model.predict_proba(matrix(rows))[:, int(task == "binary") :].tolist()
        return scores

    return learnt, Trained(engine="sklearn", model=model, predict=predict, parameters={}, libraries=())


def different_answers(learnt: Lesson, trained: Trained) -> int:
    """How many rows of any kind `linear` answers otherwise than the pipeline."""
    facts = manifest(learnt, trained)
    engine = linear.load(linear.translate(trained.model, facts), facts)
    rows: list[Row] = [*learnt.rows, *EDGES, *edge_rows(learnt.rows, facts, {})]
    return differing(engine, learnt.features, rows, trained.predict(rows))


@pytest.mark.parametrize("blocks", COLUMNS.values(), ids=COLUMNS)
def test_columns_made_in_any_known_way_are_summed_to_the_bit(blocks: Sequence[Any]) -> None:
    assert different_answers(*fitted(blocks, LogisticRegression(max_iter=40, tol=0.1), "binary")) == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_row_so_far_out_that_no_class_is_likely_gets_what_the_model_says(seed: int) -> None:
    model = SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=seed)
    blocks = COLUMNS["standardized, nulls marked"]
    assert different_answers(*fitted(blocks, model, "multiclass")) == 0


@pytest.mark.parametrize(("model", "task"), MODELS, ids=str)
def test_every_kind_of_linear_model_gives_its_own_bits(model: Any, task: Task) -> None:
    blocks = COLUMNS["standardized, nulls marked"]
    assert different_answers(*fitted(blocks, model, task)) == 0


def test_a_weight_that_is_one_bit_off_is_noticed() -> None:
    learnt, trained = fitted(COLUMNS["standardized, nulls marked"], Ridge(), "regression")
    facts = manifest(learnt, trained)
    expected = trained.predict(learnt.rows)
    trained.model[-1].coef_[0] = np.nextafter(trained.model[-1].coef_[0], math.inf)
    engine = linear.load(linear.translate(trained.model, facts), facts)
    assert differing(engine, learnt.features, learnt.rows, expected) > 0


def test_it_answers_where_scikit_learn_is_never_imported(tmp_path: Path) -> None:
    learnt = lesson("multiclass")
    package = sealed(learnt, train("logistic_regression", learnt, {}, seed=1)).package
    put_package(DocumentStore(str(tmp_path)), package)
    program = f"""
import sys
from lake.documents import DocumentStore
from lake.package import open_package
loaded = open_package(DocumentStore({str(tmp_path)!r}), "late_parcel", {package.digest!r}).load()
print(loaded.engine.name, loaded.instead, sorted({{"sklearn", "scipy"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "linear None []\n"


@pytest.mark.parametrize(
    ("blocks", "last", "task", "options", "why"),
    [
        ([ONE_HOT], RidgeClassifier(), "binary", {}, "a RidgeClassifier is no linear model that it knows the scores of"),
        ([ONE_HOT], PoissonRegressor(), "regression", {}, "a PoissonRegressor is no linear model"),
        ([ONE_HOT], SGDClassifier(loss="modified_huber"), "binary", {}, "a SGDClassifier is no linear model"),
        ([ONE_HOT], Ridge(), "regression", {"sparse_threshold": 0.0}, "a dense product is summed in blocks"),
        (
            [ONE_HOT, ("n", make_pipeline(SimpleImputer(), PolynomialFeatures()), NUMBERS)],
            Ridge(),
            "regression",
            {},
            "a PolynomialFeatures is no step that it knows",
        ),
        ([ONE_HOT, ("f", FunctionTransformer(np.abs), EXPRESS)], Ridge(), "regression", {}, "a FunctionTransformer is no step"),
        ([("c", OneHotEncoder(max_categories=2), CARRIER)], Ridge(), "regression", {}, "infrequent categories"),
        ([ONE_HOT, ("e", SimpleImputer(missing_values=0.0), EXPRESS)], Ridge(), "regression", {}, r"for which 0\.0 is null"),
    ],
)  # fmt: skip
def test_what_it_does_not_know_it_leaves_to_scikit_learn_and_says_why(
    blocks: Sequence[Any], last: Any, task: Task, options: dict[str, Any], why: str
) -> None:
    learnt, trained = fitted(blocks, last, task, **options)
    with pytest.raises(Untranslatable, match=why):
        linear.translate(trained.model, manifest(learnt, trained))
