"""BentoML: `bentoml serve bentoml_app:Flight --port PORT`."""

from typing import Any

import bentoml
from model import PeerModel


@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Flight:
    """One row in, one probability out."""

    def __init__(self) -> None:
        self.model = PeerModel()

    @bentoml.api
    def predict(self, record: dict[str, Any]) -> float:
        """The probability of a row."""
        return self.model.probability([record[name] for name in self.model.features])
