"""The way of a request: decode, ask the arms, log, and only then answer."""

import time
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from lake.decoder import Decoder, Rows
from lake.errors import NotFound, TrainServeError
from lake.interface.answers import read_answer, write_answer
from lake.interface.bodies import Question
from lake.interface.labels import label_records, log_labels
from lake.interface.logged import Answer, AnswerLog
from lake.interface.messages import Encoded, InterfaceName
from lake.interface.problems import Refused
from lake.interface.reply import Reply
from lake.interface.strangers import Strangers
from lake.interface.trace import Trace
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.parameters.reserved import RATE_LIMIT
from lake.protocol import protocol_version
from lake.release.live import Release
from proxy.arms import Arms
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.rate_limit import RateLimits
from proxy.router import Inactive, Settled
from proxy.ruled import changed_answer, is_changed, settled_answer
from proxy.shadows import Shadows
from proxy.watch import Watch


class _Made(msgspec.Struct, frozen=True, gc=False):
    """An answer, with what the model gave and the interface by which it was asked; None where no model was."""

    answer: Encoded
    scores: Sequence[list[float]] | None = None
    asked: InterfaceName | None = None


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(
        self, watch: Watch, arms: Arms, shadows: Shadows, spool: GroupCommit, metrics: Metrics, outcomes: Outcomes
    ) -> None:
        self._watch = watch
        self._arms = arms
        self._shadows = shadows
        self._spool = spool
        self._metrics = metrics
        self._log = AnswerLog(spool, self._count)
        self._outcomes = outcomes
        self._limits = RateLimits()
        self._strangers = Strangers()

    async def answer(
        self,
        question: Question,
        *,
        routing_key: str | None,
        client_id: str | None,
        trace: Trace | None,
        prove: bool,
    ) -> Answer:
        """The answer, logged, with its proof if that is asked for.

        Scores are asked for in JSON and logged, whatever the client wants: for binary tensors, and for an answer without the
        scores, the predictor is asked about records, and the client's answer written here.

        Raises NotFound for an unknown use case, SpoolUnavailable when it cannot be logged.
        """
        use_case = question.name
        exchange = self._exchange(use_case, question.body, client_id)
        if trace is not None:
            exchange.trace_id, exchange.trace_headers = trace.trace_id, trace.headers
        rows: Rows | None = None
        try:
            if (limit := self._watch.state(use_case).parameters.rate_limit) is not None:
                exchange.rule = RATE_LIMIT
                self._limits.take(use_case, client_id, limit, self._watch.workers)
                exchange.rule = None
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = question.rows(decoder)
            exchange.rows, exchange.routing_key = rows, routing_key or decoder.entity(rows.records[0])
            made = await self._ask(exchange, question, rows, decoder)
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        answer = await self._log.answered(exchange, made.answer, rows, made.scores, prove=prove)
        if made.asked is not None:
            self._shadows.mirror(exchange, made.asked, rows)
        return answer

    async def refuse(self, use_case: str, error: Refused, client_id: str | None) -> Answer:
        """The problem that answers a request for predictions which was refused before it was read; a row as well.

        Raises the error itself where there is no row: for a use case that is not here, and for strangers beyond a few a
        second. Raises SpoolUnavailable.
        """
        if use_case not in self._watch.use_cases or not self._strangers.may_leave_a_row(error):
            self._metrics.not_logged.labels(int(error.status)).inc()
            raise error
        return await self._refuse(self._exchange(use_case, b"", client_id), error, None, prove=False)

    async def accept_labels(self, use_case: str, body: bytes, client_id: str | None, *, prove: bool) -> Reply:
        """Write labels to the log. Raises NotFound, Unavailable, InvalidInput, SpoolUnavailable; then none is kept."""
        records = label_records(body, self._watch.reading(use_case).labels, client_id)
        accepted = await log_labels(self._spool, records, prove=prove)
        self._metrics.labels.labels(use_case).inc(len(records))
        return accepted

    def _exchange(self, use_case: str, body: bytes, client_id: str | None) -> Exchange:
        """What begins. Raises NotFound: there is no table for a row of a use case that is not here."""
        try:
            parameters = self._watch.state(use_case).parameters
        except NotFound:
            self._metrics.not_logged.labels(int(HTTPStatus.NOT_FOUND)).inc()
            raise
        return Exchange(use_case=use_case, body=body, client_id=client_id, parameters_version=parameters.version)

    async def _ask(self, exchange: Exchange, question: Question, rows: Rows, decoder: Decoder) -> _Made:
        """The answer after the operator's rules.

        Raises Refused, Unavailable, NotFound, msgspec.MsgspecError.
        """
        plain = not self._watch.state(exchange.use_case).parameters.changes_answers
        as_it_is = question.interface == "predict" or (question.json_length is None and rows.wants_scores_in_json and plain)
        asked: InterfaceName = question.interface if as_it_is else "predict"
        if not as_it_is:
            exchange.body = decoder.written(rows)
        try:
            given = await self._arms.ask(exchange, asked, len(rows.records))
        except Settled as settled:
            exchange.outcome = "answered" if settled.active else "inactive"
            made = settled_answer(exchange, settled.scores)
            return _Made(write_answer(question.interface, made, rows.client_request_id, rows.outputs, decoder.schema))
        if question.version is not None and exchange.release is not None:
            _check_version(question.version, exchange.release)
        exchange.outcome, exchange.engine = "answered", given.engine
        if as_it_is and not is_changed(exchange):
            return _Made(Encoded(given.body), given.scores, asked)
        read = changed_answer(exchange, read_answer(asked, given.body, len(rows.records)), decoder.schema.task)
        answer = write_answer(question.interface, read, rows.client_request_id, rows.outputs, decoder.schema)
        return _Made(answer, given.scores, asked)

    async def _refuse(self, exchange: Exchange, error: Exception, rows: Rows | None, *, prove: bool) -> Answer:
        if isinstance(error, msgspec.MsgspecError):
            error = Refused(HTTPStatus.BAD_GATEWAY, f"The model's answer could not be read ({error}).")
        exchange.outcome = "inactive" if isinstance(error, Inactive) else "failed"
        return await self._log.refused(exchange, error, rows, prove=prove)

    def _count(self, exchange: Exchange) -> None:
        self._metrics.count(exchange)
        latency_us = int((time.perf_counter() - exchange.started) * 1_000_000)
        self._outcomes.note(exchange.use_case, None, latency_us, failed=exchange.outcome == "failed")


def _check_version(asked: str, answering: Release) -> None:
    """Raises NotFound where another version answers a request than it asks for."""
    answers = protocol_version(answering.model_version)
    if asked not in (answers, answering.model_version):
        raise NotFound("version", asked, f"Version {answers!r} answers this request.")
