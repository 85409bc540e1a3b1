"""CatBoost's own engine: rows in, probabilities out, on one thread."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from lake.engines import Borders, Row

if TYPE_CHECKING:
    from lake.package import Manifest

NAME = "catboost"
FILE = "model.cbm"


def prepare(rows: Sequence[Row], category_positions: Sequence[int]) -> list[list[Any]]:
    """Rows as CatBoost takes them: a null category is the empty one, a null number is its own missing value."""
    prepared = [list(row) for row in rows]
    for row in prepared:
        for position in category_positions:
            if row[position] is None:
                row[position] = ""
    return prepared


class CatBoostEngine:
    """A loaded CatBoost model."""

    name = NAME

    def __init__(self, data: bytes, manifest: "Manifest") -> None:
        import catboost

        self._pool = catboost.Pool
        self._features = list(manifest.features)
        self._categories = [index for index, name in enumerate(self._features) if name in manifest.categories]
        self._task = manifest.task
        self._model = catboost.CatBoost()
        self._model.load_model(blob=data)
        _forget_parameters(self._model)

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        pool = self._pool(
            prepare(rows, self._categories), cat_features=self._categories, feature_names=self._features, thread_count=1
        )
        if self._task == "regression":
            return [[value] for value in self._model.predict(pool, thread_count=1).tolist()]
        probabilities = self._model.predict(pool, prediction_type="Probability", thread_count=1).tolist()
        if self._task == "binary":
            return [[positive] for _, positive in probabilities]
        return list(probabilities)

    def borders(self) -> Borders:
        """See `ReferenceEngine.borders`."""
        return self._model.get_borders()  # type: ignore[no-any-return]


def _forget_parameters(model: Any) -> None:
    """Leave a loaded model the one training parameter that it answers by: it parses them all for every prediction."""
    metadata = model.get_metadata()
    loss = msgspec.json.decode(metadata["params"])["loss_function"]
    metadata["params"] = msgspec.json.encode({"loss_function": loss}).decode()


def save(model: Any) -> bytes:
    """The `.cbm` bytes, equal for equal training on any machine: what differs each time or by its threads is taken out.

    That is the model's own id and time, the number of threads, and the learning curve, whose last digits depend on
    them. Trees, borders and parameters stay, so that predictions do.
    """
    metadata = model.get_metadata()
    metadata["model_guid"] = "00000000-00000000-00000000-00000000"
    metadata["train_finish_time"] = "1970-01-01T00:00:00Z"
    metadata["training"] = "{}"
    parameters = msgspec.json.decode(metadata["params"])
    parameters.pop("system_options", None)
    parameters.get("flat_params", {}).pop("thread_count", None)
    metadata["params"] = msgspec.json.encode(parameters, order="sorted").decode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        model.save_model(os.fspath(path), format="cbm")
        return path.read_bytes()


def load(files: Mapping[str, bytes], manifest: "Manifest") -> CatBoostEngine:
    """The engine from the very bytes that were verified."""
    return CatBoostEngine(files[FILE], manifest)
