"""scikit-learn pipelines, kept as skops files and never as pickles.

A pipeline takes one float64 matrix: a category is its position in the manifest's list, NaN when null or unknown, and
the pipeline itself says which columns are categories. No frame is built to answer a row.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lake.engines import Row
from lake.errors import VerificationError

if TYPE_CHECKING:
    from lake.package import Manifest

NAME = "sklearn"
FILE = "model.skops"

# What our pipelines are made of outside skops' own safe list: exactly this, as a test holds. A file that names any
# other is not loaded. The partial can only wrap a function that is on a list itself.
TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)


def wait_passively() -> None:
    """Let threads of OpenMP sleep while they wait; to be called before scikit-learn is first imported.

    By default they spin, and beside a busy neighbour a training of 2 s was seen to take 13. Whoever runs the process
    may say otherwise in its environment.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def prepare(rows: Sequence[Row], features: Sequence[str], categories: Mapping[str, Sequence[str]]) -> npt.NDArray[np.float64]:
    """Rows as a matrix of shape (rows, features)."""
    matrix = np.empty((len(rows), len(features)), dtype=np.float64)
    for position, (name, column) in enumerate(zip(features, zip(*rows, strict=True), strict=True)):
        if name in categories:
            codes = {category: float(code) for code, category in enumerate(categories[name])}
            matrix[:, position] = [codes.get(value, np.nan) for value in column]
        else:
            matrix[:, position] = [np.nan if value is None else value for value in column]
    return matrix


class SklearnEngine:
    """A loaded scikit-learn pipeline."""

    name = NAME

    def __init__(self, data: bytes, manifest: "Manifest") -> None:
        wait_passively()
        import skops.io

        untrusted = set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED)
        if untrusted:
            raise VerificationError(f"the types inside {FILE}", ", ".join(sorted(untrusted)), "only types on the fixed list")
        self._model: Any = skops.io.loads(data, trusted=list(TRUSTED))
        self._features = manifest.features
        self._categories = manifest.categories
        self._task = manifest.task

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        matrix = prepare(rows, self._features, self._categories)
        if self._task == "regression":
            return [[value] for value in self._model.predict(matrix).tolist()]
        probabilities = self._model.predict_proba(matrix).tolist()
        if self._task == "binary":
            return [[positive] for _, positive in probabilities]
        return list(probabilities)


def save(model: object) -> bytes:
    """The skops bytes. Not byte-stable between trainings, though predictions are bit-equal."""
    import skops.io

    return bytes(skops.io.dumps(model))


def load(data: bytes, manifest: "Manifest") -> SklearnEngine:
    """The engine from the very bytes that were verified."""
    return SklearnEngine(data, manifest)
