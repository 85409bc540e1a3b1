"""One request: body in, encoded answer out."""

import asyncio
import time

import msgspec
from uuid_utils import uuid7

from lake.decoder import Rows
from lake.errors import InvalidInput, NotFound, Unavailable
from lake.interface.messages import InterfaceName, infer_response, predict_response
from serving.follower import Follower
from serving.metrics import Metrics
from serving.model import ReleasedModel

# More rows than this would hold the event loop for milliseconds: they are scored in a thread.
ROWS_ON_THE_LOOP = 32


class Course(msgspec.Struct):
    """How far a request came, for who keeps a log of it."""

    model: ReleasedModel | None = None
    rows: Rows | None = None
    scores: list[list[float]] | None = None


class Predictor:
    """Answers requests with whatever the follower serves."""

    def __init__(self, follower: Follower, metrics: Metrics) -> None:
        self._follower = follower
        self._metrics = metrics

    async def answer(
        self, interface: InterfaceName, name: str, body: bytes, request_id: str | None, course: Course | None = None
    ) -> bytes:
        """The encoded answer; how it came about is told to `course`. Raises NotFound, Unavailable, InvalidInput."""
        started = time.perf_counter()
        if name != self._follower.use_case:
            raise NotFound("model", name, f"This predictor serves {self._follower.use_case!r}.")
        try:
            model = self._follower.model
            if course is not None:
                course.model = model
            rows = model.decoder.records(body) if interface == "predict" else model.decoder.tensors(body)
        except InvalidInput:
            self._metrics.refused[interface].inc()
            raise
        except Unavailable:
            self._metrics.unavailable[interface].inc()
            raise
        if course is not None:
            course.rows = rows
        if len(rows.records) <= ROWS_ON_THE_LOOP:
            scores = model.scores(rows.records)
        else:
            scores = await asyncio.to_thread(model.scores, rows.records)
        if course is not None:
            course.scores = scores
        provenance = model.provenance(request_id or str(uuid7()))
        encode = predict_response if interface == "predict" else infer_response
        answer = encode(scores, name, model.release.model_version, provenance, rows.client_request_id)
        self._metrics.answered(interface, model.engine, model.release.model_version).inc()
        self._metrics.rows.inc(len(rows.records))
        self._metrics.latency[interface].observe(time.perf_counter() - started)
        return answer
