"""What a linear model of scikit-learn sums up for a row, read off its fitted pipeline: one summand for each of its columns.

Each column of the matrix that reaches the model is made of one feature alone, by a few operations on its number. Those are
written down here, with the model's weights, in the order of the columns: it is the order in which a sparse product adds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from lake.engines import Untranslatable
from lake.engines.links import LinkName

if TYPE_CHECKING:
    from lake.package import Manifest

StepName = Literal["plus", "minus", "times", "over", "at_least", "at_most", "equals", "null_is", "is_null"]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """An operation on a number, which is NaN for null. `equals` and `is_null` give 1 or 0."""

    name: StepName
    number: float = 0.0


class Summand(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a feature, what is done to it, and what it weighs in each sum."""

    feature: int
    steps: tuple[Step, ...] = ()
    weights: tuple[float, ...] = ()

    def then(self, name: StepName, number: float = 0.0) -> "Summand":
        """With one more step."""
        return msgspec.structs.replace(self, steps=(*self.steps, Step(name, float(number))))


class LinearModel(msgspec.Struct, frozen=True, kw_only=True):
    """The summands of each sum, what is added to it last, and how scores are made of the sums."""

    summands: tuple[Summand, ...]
    intercepts: tuple[float, ...]
    link: LinkName


def linear_model(model: Any, manifest: "Manifest") -> LinearModel:
    """The model as summands, over the manifest's features. Raises Untranslatable."""
    *before, last = [step for _, step in model.steps] if type(model).__name__ == "Pipeline" else [model]
    link = _link(last, manifest)
    weights = np.atleast_2d(last.coef_)
    intercepts = np.broadcast_to(last.intercept_, len(weights))
    if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
        raise Untranslatable(f"a {type(last).__name__} with weights that are not finite")
    summands = [Summand(feature=position) for position in range(len(manifest.features))]
    for step in before:
        summands = _through(step, summands)
    weighed = [
        msgspec.structs.replace(summand, weights=tuple(each)) for summand, each in zip(summands, weights.T.tolist(), strict=True)
    ]
    return LinearModel(summands=tuple(weighed), intercepts=tuple(intercepts.tolist()), link=link)


_CLASSIFIERS = ("LogisticRegression", "LogisticRegressionCV")
_REGRESSORS = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "Lars", "LassoLars"),
    *("SGDRegressor", "HuberRegressor", "BayesianRidge", "ARDRegression", "TheilSenRegressor", "LinearSVR", "QuantileRegressor"),
)


def _link(model: Any, manifest: "Manifest") -> LinkName:
    """How a model makes scores of its sums."""
    name, binary = type(model).__name__, manifest.task == "binary"
    if manifest.task == "regression" and name in _REGRESSORS:
        return "identity"
    if manifest.task != "regression" and name in _CLASSIFIERS:
        return "logistic" if binary else "softmax"
    if manifest.task != "regression" and name == "SGDClassifier" and model.loss == "log_loss":
        return "logistic" if binary else "one_vs_rest"
    raise Untranslatable(f"a {name} is no linear model that it knows the scores of")


def _through(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    """The summands behind a fitted step of a pipeline."""
    name = type(step).__name__
    if step is None or step == "passthrough" or (name == "FunctionTransformer" and step.func is None):
        return list(summands)
    if name not in _STEPS:
        raise Untranslatable(f"a {name} is no step that it knows")
    return _STEPS[name](step, summands)


def _pipeline(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    for _, inner in step.steps:
        summands = _through(inner, summands)
    return list(summands)


def _column_transformer(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    if not step.sparse_output_:
        raise Untranslatable("a dense product is summed in blocks: a row's last bit depends on its neighbours")
    made: list[Summand] = []
    for name, inner, _ in step.transformers_:
        positions = step._transformer_to_input_indices[name]
        if inner != "drop" and len(positions):
            made += _through(inner, [summands[position] for position in positions])
    return made


def _one_hot_encoder(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    if any(found is not None for found in getattr(step, "infrequent_categories_", ())):
        raise Untranslatable("a OneHotEncoder with infrequent categories")
    dropped = [None] * len(summands) if step.drop_idx_ is None else step.drop_idx_
    return [
        summand.then("is_null") if np.isnan(category) else summand.then("equals", category)
        for summand, categories, drop in zip(summands, step.categories_, dropped, strict=True)
        for place, category in enumerate(categories)
        if place != drop
    ]


def _simple_imputer(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    _only_nan(step)
    filled = [
        summand.then("null_is", number)
        for summand, number in zip(summands, step.statistics_, strict=True)
        if not np.isnan(number)
    ]
    return filled if step.indicator_ is None else [*filled, *_missing_indicator(step.indicator_, summands)]


def _missing_indicator(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    _only_nan(step)
    return [summands[position].then("is_null") for position in step.features_]


def _only_nan(step: Any) -> None:
    if not (isinstance(step.missing_values, float) and np.isnan(step.missing_values)):
        raise Untranslatable(f"a {type(step).__name__} for which {step.missing_values!r} is null")


def _standard_scaler(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    made = _each(summands, "minus", step.mean_) if step.with_mean else list(summands)
    return _each(made, "over", step.scale_)


def _robust_scaler(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    return _each(_each(summands, "minus", step.center_), "over", step.scale_)


def _min_max_scaler(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    made = _each(_each(summands, "times", step.scale_), "plus", step.min_)
    least, greatest = step.feature_range
    return [summand.then("at_least", least).then("at_most", greatest) for summand in made] if step.clip else made


def _max_abs_scaler(step: Any, summands: Sequence[Summand]) -> list[Summand]:
    made = _each(summands, "over", step.scale_)
    return [summand.then("at_least", -1.0).then("at_most", 1.0) for summand in made] if step.clip else made


def _each(summands: Sequence[Summand], name: StepName, numbers: Sequence[float] | None) -> list[Summand]:
    """Each summand with one more step, by its number; None leaves the step out."""
    if numbers is None:
        return list(summands)
    return [summand.then(name, number) for summand, number in zip(summands, numbers, strict=True)]


_STEPS: Mapping[str, Callable[[Any, Sequence[Summand]], list[Summand]]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _column_transformer,
    "OneHotEncoder": _one_hot_encoder,
    "SimpleImputer": _simple_imputer,
    "MissingIndicator": _missing_indicator,
    "StandardScaler": _standard_scaler,
    "RobustScaler": _robust_scaler,
    "MinMaxScaler": _min_max_scaler,
    "MaxAbsScaler": _max_abs_scaler,
}
