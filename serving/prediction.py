"""One request: body in, encoded answer out."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from uuid_utils import uuid7

from lake.decoder import Rows
from lake.errors import InvalidInput, NotFound, TrainServeError, Unavailable
from lake.interface.answers import GivenAnswer, write_answer
from lake.interface.bodies import Question
from lake.interface.bundle import ModelRequest, ModelResponse
from lake.interface.messages import Encoded, InterfaceName
from lake.interface.problems import problem_document
from serving.follower import Follower
from serving.metrics import Metrics
from serving.model import ReleasedModel

# More rows than this would hold the event loop for milliseconds: they are scored in a thread.
ROWS_ON_THE_LOOP = 32


class Course(msgspec.Struct):
    """How far a request came, for who keeps a log of it."""

    model: ReleasedModel | None = None
    rows: Rows | None = None
    scores: Sequence[list[float]] | None = None


class Predictor:
    """Answers requests with whatever the follower serves."""

    def __init__(self, follower: Follower, metrics: Metrics) -> None:
        self._follower = follower
        self._metrics = metrics

    def count_refused(self, interface: InterfaceName) -> None:
        """Count a request that was refused before it was read."""
        self._metrics.refused[interface].inc()

    async def answer(self, question: Question, request_id: str | None, course: Course | None = None) -> Encoded:
        """The encoded answer; how it came about is told to `course`. Raises NotFound, Unavailable, InvalidInput."""
        started = time.perf_counter()
        try:
            model = self._follower.serving(question.name, question.version)
            if course is not None:
                course.model = model
            rows = question.rows(model.decoder)
        except (InvalidInput, NotFound):
            self._metrics.refused[question.interface].inc()
            raise
        except Unavailable:
            self._metrics.unavailable[question.interface].inc()
            raise
        if course is not None:
            course.rows = rows
        if len(rows.records) <= ROWS_ON_THE_LOOP:
            scored = model.scored(rows)
        else:
            scored = await asyncio.to_thread(model.scored, rows)
        if course is not None:
            course.scores = scored.scores
        given = GivenAnswer(scored, model.release.model_version, model.provenance(request_id or str(uuid7())))
        answer = write_answer(question.interface, given, rows.client_request_id, rows.outputs, model.schema)
        self._metrics.count(question, model, scored, started)
        return answer

    async def respond(self, request: ModelRequest) -> ModelResponse:
        """What a request of a bundle gets, as it would alone: the answer, or the problem."""
        question = Question(interface=request.interface, name=request.name, body=request.body)
        try:
            answer = await self.answer(question, request.request_id)
        except TrainServeError as error:
            document = problem_document(error)
            return ModelResponse(document.status, msgspec.json.encode(document))
        return ModelResponse(HTTPStatus.OK, answer.text + answer.tensors)
