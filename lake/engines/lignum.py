"""lignum: trees of others, bit for bit and in microseconds, without the library that trained them.

It reads CatBoost's own file, and gradient boosting of scikit-learn that was written as a LightGBM text. What it gives are
the trees' sums; for scikit-learn the link to probabilities is here, in the very operations of the original.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lake.engines import Row, Untranslatable, catboost, sklearn
from lake.engines.boosted_trees import MISSING_CODE, lightgbm_text

if TYPE_CHECKING:
    from lake.package import Manifest

NAME = "lignum"
TREES_FILE = "trees.txt"

_Array = npt.NDArray[np.float64]


class LignumEngine:
    """Trees, and how rows get in and scores out."""

    name = NAME

    def __init__(
        self, data: bytes, prepare: Callable[[Sequence[Row]], Any], link: Callable[[_Array], list[list[float]]], *, raw: bool
    ) -> None:
        self._predict = _loaded(data).predict
        self._prepare = prepare
        self._link = link
        self._raw = raw

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        return self._link(self._predict(self._prepare(rows), self._raw, 1, "serial"))


def translate(model: object, manifest: "Manifest") -> dict[str, bytes]:
    """The trees as a LightGBM text, or nothing for CatBoost, whose own file is read. Raises Untranslatable."""
    match manifest.reference:
        case catboost.NAME:
            return {}
        case sklearn.NAME:
            return {TREES_FILE: lightgbm_text(model, manifest).encode()}
        case other:
            raise Untranslatable(f"it does not read models of {other}")


def load(files: Mapping[str, bytes], manifest: "Manifest") -> LignumEngine:
    """The engine from the very bytes that were verified."""
    if manifest.reference == catboost.NAME:
        categories = [index for index, name in enumerate(manifest.features) if name in manifest.categories]
        return LignumEngine(files[catboost.FILE], _without_null_categories(categories), _given(manifest), raw=False)
    coder = sklearn.MatrixCoder(manifest.features, manifest.categories, missing=MISSING_CODE)
    return LignumEngine(files[TREES_FILE], coder, _linked(manifest), raw=True)


def _loaded(data: bytes) -> Any:
    """The model of a file that never was on a disk: what was verified is what is loaded."""
    import lignum

    file = os.memfd_create("trees", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as writer:
            writer.write(data)
        return lignum.load(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _without_null_categories(positions: Sequence[int]) -> Callable[[Sequence[Row]], Sequence[Row]]:
    """Rows as CatBoost's are: a null category is the empty one. A null number is none of lignum's problems."""

    def prepare(rows: Sequence[Row]) -> Sequence[Row]:
        if any(row[position] is None for position in positions for row in rows):
            return catboost.prepare(rows, positions)
        return rows

    return prepare


def _given(manifest: "Manifest") -> Callable[[_Array], list[list[float]]]:
    """Scores that are what lignum gives."""
    if manifest.task == "multiclass":
        return lambda given: given.tolist()
    return lambda given: [[value] for value in given.tolist()]


def _linked(manifest: "Manifest") -> Callable[[_Array], list[list[float]]]:
    """Scores of the sums of scikit-learn's trees."""
    match manifest.task:
        case "binary":
            return lambda sums: [[_logistic(value)] for value in sums.tolist()]
        case "multiclass":
            return lambda sums: _softmax(sums).tolist()
        case "regression":
            return lambda sums: [[value] for value in sums.tolist()]


def _logistic(value: float) -> float:
    """As scipy's `expit`: the same `exp`, of the C library."""
    try:
        return 1.0 / (1.0 + math.exp(-value))
    except OverflowError:
        return 0.0


def _softmax(sums: _Array) -> _Array:
    """As scikit-learn's, in its operations and its order of memory."""
    shifted = np.asfortranarray(sums)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    np.exp(shifted, shifted)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
