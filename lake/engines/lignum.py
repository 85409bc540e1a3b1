"""lignum: trees of others, bit for bit and in microseconds, without the library that trained them.

It reads CatBoost's own file, and gradient boosting of scikit-learn that was written as a LightGBM text. What it gives are
the trees' sums; for scikit-learn a link makes probabilities of them.
"""

import os
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from lake.columns import ArrayScores, Columns
from lake.engines import Row, Untranslatable, catboost, sklearn
from lake.engines.boosted_trees import MISSING_CODE, lightgbm_text
from lake.engines.links import Link, identity, link, softmax_by_class
from lake.engines.matrix import Matrix, matrix_of

if TYPE_CHECKING:
    from lake.package import Manifest

NAME = "lignum"
TREES_FILE = "trees.txt"


class Coder(Protocol):
    """What makes rows, or columns, what the trees take."""

    def __call__(self, rows: Sequence[Row]) -> Any:
        """Rows as `Model.predict` takes them."""
        ...

    def of_columns(self, columns: Columns) -> Matrix:
        """The matrix that the trees see."""
        ...


class LignumEngine:
    """Trees, and how rows get in and scores out."""

    name = NAME

    def __init__(self, data: bytes, coder: Coder, link: Link, *, raw: bool) -> None:
        model = _loaded(data)
        self._predict = model.predict
        self._predict_matrix = model._c_model.predict  # noqa: SLF001 - `predict` has no way in for hashes of categories
        self._coder = coder
        self._link = link
        self._raw = raw

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        return self._link(self._predict(self._coder(rows), self._raw, 1, "serial"))

    def scores_of_columns(self, columns: Columns) -> Sequence[list[float]]:
        """See `ColumnarEngine.scores_of_columns`."""
        sums = self._predict_matrix(self._coder.of_columns(columns), self._raw, 1, "serial")
        return ArrayScores(sums) if self._link is identity else self._link(sums)


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
    features, categories = manifest.features, manifest.categories
    if manifest.reference == catboost.NAME:
        return LignumEngine(files[catboost.FILE], HashCoder(features, categories), identity, raw=False)
    coder = sklearn.MatrixCoder(features, categories, missing=MISSING_CODE)
    return LignumEngine(files[TREES_FILE], coder, _link(manifest), raw=True)


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


class _Hashes(dict[str | None, float]):
    """CatBoost's hashes of categories, those that it knows reckoned once. A null category is the empty one."""

    def __init__(self, known: Sequence[str]) -> None:
        import lignum

        self._hash = lignum.catboost_hash
        super().__init__((category, float(self._hash(category))) for category in known)
        self[None] = float(self._hash(""))

    def __missing__(self, category: str | None) -> float:
        return float(self._hash(category))


class HashCoder:
    """Makes rows what the trees of CatBoost take."""

    def __init__(self, features: Sequence[str], categories: Mapping[str, Sequence[str]]) -> None:
        self._features = features
        self._positions = [position for position, name in enumerate(features) if name in categories]
        self._readers = [itemgetter(position) for position in self._positions]
        self._hashes = {name: _Hashes(categories[name]).__getitem__ for name in features if name in categories}

    def __call__(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows as CatBoost's are: a null category is the empty one. A null number is none of lignum's problems."""
        for read in self._readers:
            if None in map(read, rows):
                return catboost.prepare(rows, self._positions)
        return rows

    def of_columns(self, columns: Columns) -> Matrix:
        """The matrix, with the hash of each category."""
        return matrix_of(columns, self._features, self._hashes)


def _link(manifest: "Manifest") -> Link:
    """The link of scikit-learn's trees, which keep their sums in columns."""
    match manifest.task:
        case "binary":
            return link("logistic")
        case "multiclass":
            return lambda sums: softmax_by_class(sums).tolist()
        case "regression":
            return identity
