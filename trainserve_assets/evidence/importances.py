"""Importances: how much a model leans on each of its features, as shares that sum to one.

CatBoost says it itself, by SHAP values; of any other engine it is asked by permutation: how much worse the answers get
when one feature's values are dealt out anew among the rows.
"""

from collections.abc import Mapping

import numpy as np

from lake.engines import Engine
from lake.engines import catboost as catboost_engine
from lake.package import Package
from trainserve_assets.evidence.holdout import Holdout, Positions, rows_at, spread_positions
from trainserve_assets.examples import rows_of
from trainserve_assets.metrics import LOSS, Numbers, Sample, measure

MOST_ROWS = 2_000
# Shares are told to so many digits, so that threads cannot change a document by adding up in another order.
_DIGITS = 6


def importances(package: Package, engine: Engine, holdout: Holdout) -> dict[str, float]:
    """The share of each feature over at most `MOST_ROWS` rows of the holdout; all 0 for a model that leans on none."""
    positions = spread_positions(holdout.frame.height, MOST_ROWS)
    if package.manifest.reference == catboost_engine.NAME:
        weights = _shap(package, holdout, positions)
    else:
        weights = _permuted(package, engine, holdout, positions)
    total = sum(weights.values())
    return {name: round(weight / total, _DIGITS) if total else 0.0 for name, weight in weights.items()}


def _shap(package: Package, holdout: Holdout, positions: Positions) -> Mapping[str, float]:
    import catboost

    manifest = package.manifest
    categories = [place for place, name in enumerate(manifest.features) if name in manifest.categories]
    model = catboost.CatBoost()
    model.load_model(blob=package.files[catboost_engine.FILE])
    rows = catboost_engine.prepare(rows_of(rows_at(holdout.frame, positions), manifest.features), categories)
    pool = catboost.Pool(rows, cat_features=categories, feature_names=list(manifest.features))
    # Shape (rows, features + 1), of classes (rows, classes, features + 1): the last is what a row without features gets.
    values = np.abs(model.get_feature_importance(data=pool, type="ShapValues"))[..., :-1]
    means = values.reshape(-1, len(manifest.features)).mean(axis=0)
    return dict(zip(manifest.features, means.tolist(), strict=True))


def _permuted(package: Package, engine: Engine, holdout: Holdout, positions: Positions) -> Mapping[str, float]:
    manifest, generator = package.manifest, np.random.default_rng(0)
    rows = rows_of(rows_at(holdout.frame, positions), manifest.features)
    columns = list(zip(*rows, strict=True))
    labels = holdout.labels[positions]

    def loss(table: list[tuple[object, ...]]) -> float:
        scores: Numbers = np.asarray(engine.scores(list(zip(*table, strict=True))), dtype=np.float64)
        # One day: the value alone is asked for, not its interval.
        sample = Sample(labels=labels, scores=scores, days=np.zeros(labels.size))
        return measure(manifest.task, sample)[LOSS[manifest.task]].value

    usual = loss(columns)
    weights = {}
    for place, name in enumerate(manifest.features):
        dealt = tuple(columns[place][row] for row in generator.permutation(labels.size))
        weights[name] = max(0.0, loss([*columns[:place], dealt, *columns[place + 1 :]]) - usual)
    return weights
