"""The way of a request: decode, ask the arms, log, and only then answer."""

from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from lake.decoder import Decoder, Rows
from lake.errors import NotFound, TrainServeError
from lake.interface.answers import read_answer, write_answer
from lake.interface.bodies import Question
from lake.interface.labels import LabelsAccepted, label_records
from lake.interface.logged import Answer, AnswerLog
from lake.interface.messages import Encoded, InterfaceName
from lake.interface.problems import Refused
from lake.interface.trace import Trace
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from lake.protocol import protocol_version
from lake.release.live import Release
from proxy.arms import Arms
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.rate_limit import RATE_LIMIT, RateLimits, TooMany
from proxy.router import Inactive, Settled
from proxy.ruled import changed_answer, is_changed, settled_answer
from proxy.watch import Watch


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, arms: Arms, spool: GroupCommit, metrics: Metrics, outcomes: Outcomes) -> None:
        self._watch = watch
        self._arms = arms
        self._spool = spool
        self._metrics = metrics
        self._log = AnswerLog(spool, self._count)
        self._outcomes = outcomes
        self._limits = RateLimits()

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
        state = self._watch.state(use_case)
        exchange = Exchange(
            use_case=use_case,
            body=question.body,
            client_id=client_id,
            parameters_version=state.parameters.version,
        )
        if trace is not None:
            exchange.trace_id, exchange.trace_headers = trace.trace_id, trace.headers
        rows: Rows | None = None
        try:
            if (limit := state.parameters.rate_limit) is not None:
                exchange.rule = RATE_LIMIT
                self._limits.take(use_case, client_id, limit, self._watch.workers)
                exchange.rule = None
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = question.rows(decoder)
            exchange.rows, exchange.routing_key = rows, routing_key or decoder.entity(rows.records[0])
            answer, scores = await self._ask(exchange, question, rows, decoder)
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        return await self._log.answered(exchange, answer, rows, scores, prove=prove)

    async def _ask(
        self, exchange: Exchange, question: Question, rows: Rows, decoder: Decoder
    ) -> tuple[Encoded, Sequence[list[float]] | None]:
        """The answer after the operator's rules, and what the model gave; None where no model was asked.

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
            return write_answer(question.interface, made, rows.client_request_id, rows.outputs, decoder.schema), None
        if question.version is not None and exchange.release is not None:
            _check_version(question.version, exchange.release)
        exchange.outcome, exchange.engine = "answered", given.engine
        if as_it_is and not is_changed(exchange):
            return Encoded(given.body), given.scores
        read = changed_answer(exchange, read_answer(asked, given.body, len(rows.records)), decoder.schema.task)
        return write_answer(question.interface, read, rows.client_request_id, rows.outputs, decoder.schema), given.scores

    async def accept_labels(self, use_case: str, body: bytes, client_id: str | None, *, prove: bool) -> tuple[bytes, str]:
        """Write labels to the log. Raises NotFound, Unavailable, InvalidInput, SpoolUnavailable; then none is kept.

        Returns the answer and its receipt.
        """
        records = label_records(body, self._watch.reading(use_case).labels, client_id)
        receipt = await self._spool.append(records)
        self._metrics.labels.labels(use_case).inc(len(records))
        accepted = msgspec.json.encode(LabelsAccepted(len(records)))
        return with_proof(accepted, receipt.proof(records)) if prove else accepted, receipt.text

    async def _refuse(self, exchange: Exchange, error: Exception, rows: Rows | None, *, prove: bool) -> Answer:
        if isinstance(error, msgspec.MsgspecError):
            error = Refused(HTTPStatus.BAD_GATEWAY, f"The model's answer could not be read ({error}).")
        exchange.outcome = "inactive" if isinstance(error, Inactive) else "failed"
        refused = await self._log.refused(exchange, error, rows, prove=prove)
        return msgspec.structs.replace(refused, retry_after_s=error.retry_after_s) if isinstance(error, TooMany) else refused

    def _count(self, exchange: Exchange) -> None:
        if exchange.upstream_latency_us is not None and exchange.arm is not None:
            failed = exchange.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            self._outcomes.note(exchange.use_case, exchange.arm, exchange.upstream_latency_us, failed=failed)
        self._metrics.count(exchange)


def _check_version(asked: str, answering: Release) -> None:
    """Raises NotFound where another version answers a request than it asks for."""
    answers = protocol_version(answering.model_version)
    if asked not in (answers, answering.model_version):
        raise NotFound("version", asked, f"Version {answers!r} answers this request.")
