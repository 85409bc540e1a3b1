"""One request: body in, encoded answer out."""

import asyncio
import time

from uuid_utils import uuid7

from lake.errors import InvalidInput, Unavailable
from lake.interface.answers import GivenAnswer, write_answer
from lake.interface.messages import Encoded, InterfaceName
from serving.follower import Follower
from serving.metrics import Metrics

# More rows than this would hold the event loop for milliseconds: they are scored in a thread.
ROWS_ON_THE_LOOP = 32


class Predictor:
    """Answers requests with whatever the follower serves."""

    def __init__(self, follower: Follower, metrics: Metrics) -> None:
        self._follower = follower
        self._metrics = metrics

    async def answer(
        self,
        interface: InterfaceName,
        name: str,
        body: bytes,
        request_id: str | None,
        *,
        version: str | None = None,
        json_length: str | None = None,
    ) -> Encoded:
        """The encoded answer. Raises NotFound, Unavailable, InvalidInput.

        `json_length` says where the JSON of a body with binary tensors ends.
        """
        started = time.perf_counter()
        try:
            model = self._follower.serving(name, version)
            decoder = model.decoder
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body, json_length)
        except InvalidInput:
            self._metrics.refused[interface].inc()
            raise
        except Unavailable:
            self._metrics.unavailable[interface].inc()
            raise
        if len(rows.records) <= ROWS_ON_THE_LOOP:
            scored = model.scored(rows.records)
        else:
            scored = await asyncio.to_thread(model.scored, rows.records)
        given = GivenAnswer(scored, model.release.model_version, model.provenance(request_id or str(uuid7())))
        answer = write_answer(interface, given, rows.client_request_id, rows.outputs, model.schema)
        self._metrics.count(interface, scored, started)
        return answer
