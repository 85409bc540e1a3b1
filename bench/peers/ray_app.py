"""Ray Serve with its defaults and one replica: `python ray_app.py PORT`."""

import sys
import threading
from typing import Any

from model import PeerModel
from ray import init, serve
from ray.serve.config import HTTPOptions
from starlette.requests import Request


@serve.deployment(num_replicas=1)
class Flight:
    """One row in, one probability out."""

    def __init__(self) -> None:
        self.model = PeerModel()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """The probability of a row."""
        record = await request.json()
        return {"score": self.model.probability([record[name] for name in self.model.features])}


if __name__ == "__main__":
    init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=int(sys.argv[1])))
    serve.run(Flight.bind(), route_prefix="/predict")
    threading.Event().wait()
