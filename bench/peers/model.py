"""What every peer serves: the CatBoost model of a package and the types of its features, from a folder of plain files.

Peers run in environments without this platform, so nothing but the standard library and CatBoost is imported here.
"""

import json
import os
from pathlib import Path
from typing import Any

FOLDER = "BENCH_PEER_FOLDER"


class PeerModel:
    """The model, one row at a time: a list in the order of its features, as one who knows CatBoost would ask it."""

    def __init__(self) -> None:
        from catboost import CatBoost

        self.folder = Path(os.environ[FOLDER])
        described = json.loads((self.folder / "features.json").read_text())
        self.types: dict[str, str] = described["types"]
        self.features = list(self.types)
        self._model = CatBoost().load_model(str(self.folder / "model.cbm"))

    def probability(self, row: list[Any]) -> float:
        """The probability of the row."""
        given = self._model.predict([row], prediction_type="Probability", thread_count=1)
        return float(given[0][1])
