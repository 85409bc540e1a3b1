"""Trainers: each makes a model from rows in the very form that its engine will answer them in."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from lake.engines import Row
from lake.engines import catboost as catboost_engine
from lake.engines import sklearn as sklearn_engine
from lake.errors import SettingError
from lake.input_schema import Task
from trainserve_assets.use_case import Trainer

# As many values as a category may have: both tree learners keep them apart in one byte.
MOST_CATEGORIES = 255


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What is learnt from. `labels` are numbers: 0.0 and 1.0, positions in the list of classes, or the value itself."""

    task: Task
    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    rows: Sequence[Row]
    labels: npt.NDArray[np.float64]

    @property
    def category_positions(self) -> list[int]:
        """Where the categories stand in a row."""
        return [position for position, name in enumerate(self.features) if name in self.categories]


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model; `predict` is the trained object's own answer, which its engine must repeat to the bit."""

    engine: str
    model: Any
    predict: Callable[[Sequence[Row]], list[list[float]]]
    parameters: dict[str, Any]
    libraries: tuple[str, ...]


def train(trainer: Trainer, lesson: Lesson, parameters: Mapping[str, Any], seed: int) -> Trained:
    """Train with a use case's parameters over this trainer's own. Equal lessons give equal models."""
    return _TRAINERS[trainer](lesson, parameters, seed)


def _catboost(lesson: Lesson, parameters: Mapping[str, Any], seed: int) -> Trained:
    import catboost

    loss = {"binary": "Logloss", "multiclass": "MultiClass", "regression": "RMSE"}[lesson.task]
    chosen = {"iterations": 300, "depth": 6, "one_hot_max_size": MOST_CATEGORIES, "loss_function": loss, **parameters}
    positions = lesson.category_positions

    def pool(rows: Sequence[Row], labels: npt.NDArray[np.float64] | None = None) -> Any:
        prepared = catboost_engine.prepare(rows, positions)
        return catboost.Pool(prepared, label=labels, cat_features=positions, feature_names=list(lesson.features))

    def predict(rows: Sequence[Row]) -> list[list[float]]:
        if lesson.task == "regression":
            return [[value] for value in model.predict(pool(rows)).tolist()]
        return _scores(lesson.task, model.predict(pool(rows), prediction_type="Probability"))

    model = catboost.CatBoost({**chosen, "random_seed": seed, "logging_level": "Silent", "allow_writing_files": False})
    model.fit(pool(lesson.rows, lesson.labels))
    return Trained(engine=catboost_engine.NAME, model=model, predict=predict, parameters=chosen, libraries=("catboost", "numpy"))


def _hist_gradient_boosting(lesson: Lesson, parameters: Mapping[str, Any], seed: int) -> Trained:
    sklearn_engine.wait_passively()
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    chosen = {"max_iter": 150, "early_stopping": False, **parameters}
    kind = HistGradientBoostingRegressor if lesson.task == "regression" else HistGradientBoostingClassifier
    return _sklearn(lesson, kind(**chosen, categorical_features=lesson.category_positions, random_state=seed), chosen)


def _logistic_regression(lesson: Lesson, parameters: Mapping[str, Any], seed: int) -> Trained:
    sklearn_engine.wait_passively()
    from sklearn.linear_model import LogisticRegression

    if lesson.task == "regression":
        raise SettingError("trainer", "logistic_regression", "linear_regression: this one predicts classes")
    chosen = {"max_iter": 1000, **parameters}
    return _linear(lesson, LogisticRegression(**chosen, random_state=seed), chosen)


def _linear_regression(lesson: Lesson, parameters: Mapping[str, Any], seed: int) -> Trained:
    sklearn_engine.wait_passively()
    from sklearn.linear_model import Ridge

    if lesson.task != "regression":
        raise SettingError("trainer", "linear_regression", "logistic_regression: this one predicts values")
    chosen = {"alpha": 1.0, "tol": 1e-8, **parameters}
    return _linear(lesson, Ridge(**chosen, random_state=seed), chosen)


def _linear(lesson: Lesson, last: Any, parameters: dict[str, Any]) -> Trained:
    """A linear model on one column for each category and on standardized numbers, each null with an indicator."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = lesson.category_positions
    numbers = [position for position in range(len(lesson.features)) if position not in categories]
    columns = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
            ("numbers", make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
            ("nulls", MissingIndicator(features="all", sparse=True), numbers),
        ],
        # A sparse product is summed row by row; a dense one in blocks, and then a row's last bit depends on its neighbours.
        sparse_threshold=1.0,
    )
    return _sklearn(lesson, make_pipeline(columns, last), parameters, standardized=numbers)


def _check_squares(lesson: Lesson, matrix: npt.NDArray[np.float64], numbers: Sequence[int]) -> None:
    """Refuse numbers that cannot be standardized, by the name of their feature. Raises SettingError."""
    with np.errstate(over="ignore"):
        squares = np.nansum(matrix**2, axis=0)
    for position in numbers:
        if not np.isfinite(squares[position]):
            found = float(np.nanmax(np.abs(matrix[:, position])))
            expected = "numbers whose squares add up, as a linear model needs them: let the source have null in place of such"
            raise SettingError(f"the furthest value of {lesson.features[position]!r}", found, expected)


def _sklearn(lesson: Lesson, model: Any, parameters: dict[str, Any], standardized: Sequence[int] = ()) -> Trained:
    matrix_of = sklearn_engine.MatrixCoder(lesson.features, lesson.categories)

    def predict(rows: Sequence[Row]) -> list[list[float]]:
        if lesson.task == "regression":
            return [[value] for value in model.predict(matrix_of(rows)).tolist()]
        return _scores(lesson.task, model.predict_proba(matrix_of(rows)))

    matrix = matrix_of(lesson.rows)
    _check_squares(lesson, matrix, standardized)
    model.fit(matrix, lesson.labels)
    libraries = ("scikit-learn", "skops", "numpy")
    return Trained(engine=sklearn_engine.NAME, model=model, predict=predict, parameters=parameters, libraries=libraries)


def _scores(task: Task, probabilities: npt.NDArray[np.float64]) -> list[list[float]]:
    scores: list[list[float]] = (probabilities[:, 1:] if task == "binary" else probabilities).tolist()
    return scores


_TRAINERS: dict[Trainer, Callable[[Lesson, Mapping[str, Any], int], Trained]] = {
    "catboost": _catboost,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "logistic_regression": _logistic_regression,
    "linear_regression": _linear_regression,
}
