"""scikit-learn pipelines, kept as skops files and never as pickles.

A pipeline takes one float64 matrix: a category is its position in the manifest's list, NaN when null or unknown, and
the pipeline itself says which columns are categories. No frame is built to answer a row.
"""

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lake.columns import Columns
from lake.engines import Borders, Row
from lake.engines.boosted_trees import is_boosted, split_borders
from lake.engines.matrix import Matrix, matrix_of
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


class _Codes(dict[str | None, float]):
    """The positions of the categories in a list."""

    def __init__(self, categories: Sequence[str], missing: float) -> None:
        super().__init__((category, float(code)) for code, category in enumerate(categories))
        self._missing = missing

    def __missing__(self, _category: str | None) -> float:
        return self._missing


class MatrixCoder:
    """Makes rows a matrix of shape (rows, features): a category is its position in its list, `missing` if null or unknown."""

    def __init__(self, features: Sequence[str], categories: Mapping[str, Sequence[str]], missing: float = math.nan) -> None:
        self._features = features
        codes = {name: _Codes(categories[name], missing) for name in features if name in categories}
        self._by_name = {name: positions.__getitem__ for name, positions in codes.items()}
        self._by_position = [(features.index(name), code) for name, code in self._by_name.items()]

    def __call__(self, rows: Sequence[Row]) -> Matrix:
        """The matrix; a null number is NaN."""
        coded = [list(row) for row in rows]
        for position, code in self._by_position:
            for row in coded:
                row[position] = code(row[position])
        return np.array(coded, dtype=np.float64)

    def of_columns(self, columns: Columns) -> Matrix:
        """The same of columns."""
        return matrix_of(columns, self._features, self._by_name)


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
        self._coder = MatrixCoder(manifest.features, manifest.categories)
        self._task = manifest.task

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        return self._scores(self._coder(rows))

    def scores_of_columns(self, columns: Columns) -> list[list[float]]:
        """See `ColumnarEngine.scores_of_columns`."""
        return self._scores(self._coder.of_columns(columns))

    def _scores(self, matrix: Matrix) -> list[list[float]]:
        if self._task == "regression":
            return self._model.predict(matrix).reshape(-1, 1).tolist()  # type: ignore[no-any-return]
        probabilities = self._probabilities(matrix)
        return (probabilities[:, 1:] if self._task == "binary" else probabilities).tolist()  # type: ignore[no-any-return]

    def _probabilities(self, matrix: Matrix) -> Any:
        """What the model says of each row, which is the same alone as among others.

        Boosting adds up the classes of one row in another order than those of many, which lie in columns: with eight classes
        or more that is another last bit. So a row that comes alone is asked twice.
        """
        if len(matrix) == 1 and self._task == "multiclass" and is_boosted(self._model):
            return self._model.predict_proba(matrix.repeat(2, axis=0))[:1]
        return self._model.predict_proba(matrix)

    def borders(self) -> Borders:
        """See `ReferenceEngine.borders`."""
        return split_borders(self._model) if is_boosted(self._model) else {}


def save(model: object) -> bytes:
    """The skops bytes. Not byte-stable between trainings, though predictions are bit-equal."""
    import skops.io

    return bytes(skops.io.dumps(model))


def load(files: Mapping[str, bytes], manifest: "Manifest") -> SklearnEngine:
    """The engine from the very bytes that were verified."""
    return SklearnEngine(files[FILE], manifest)
