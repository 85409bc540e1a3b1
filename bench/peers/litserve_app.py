"""LitServe: `python litserve_app.py PORT`."""

import sys
from typing import Any

import litserve
from model import PeerModel


class Flight(litserve.LitAPI):
    """One row in, one probability out."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        del device
        self.model = PeerModel()

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        """The row in the order of the features."""
        return [request[name] for name in self.model.features]

    def predict(self, x: list[Any]) -> float:
        """Its probability."""
        return self.model.probability(x)

    def encode_response(self, output: float) -> dict[str, float]:
        """The answer."""
        return {"score": output}


if __name__ == "__main__":
    server = litserve.LitServer(Flight(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning")
