"""The way of a request: decode, ask the arms, log, and only then answer."""

from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import NotFound, TrainServeError
from lake.interface.answers import read_answer, write_answer
from lake.interface.bodies import Question
from lake.interface.labels import LabelsAccepted, label_records
from lake.interface.logged import Answer, AnswerLog
from lake.interface.messages import Encoded
from lake.interface.problems import Refused
from lake.interface.trace import Trace
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from lake.protocol import protocol_version
from lake.release.live import Release
from proxy.arms import Arms
from proxy.metrics import Metrics
from proxy.watch import Watch


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, arms: Arms, spool: GroupCommit, metrics: Metrics) -> None:
        self._watch = watch
        self._arms = arms
        self._spool = spool
        self._metrics = metrics
        self._log = AnswerLog(spool, metrics.count)

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
        use_case, interface = question.name, question.interface
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
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = question.rows(decoder)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            as_it_is = interface == "predict" or (question.json_length is None and rows.wants_scores_in_json)
            if not as_it_is:
                exchange.body = decoder.written(rows)
            given = await self._arms.ask(exchange, interface if as_it_is else "predict", len(rows.records))
            if question.version is not None and exchange.release is not None:
                _check_version(question.version, exchange.release)
            answer = Encoded(given.body)
            if not as_it_is:
                read = read_answer("predict", given.body, len(rows.records))
                answer = write_answer(interface, read, rows.client_request_id, rows.outputs, decoder.schema)
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        exchange.engine = given.engine
        return await self._log.answered(exchange, answer, rows, given.scores, prove=prove)

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
        return await self._log.refused(exchange, error, rows, prove=prove)


def _check_version(asked: str, answering: Release) -> None:
    """Raises NotFound where another version answers a request than it asks for."""
    answers = protocol_version(answering.model_version)
    if asked not in (answers, answering.model_version):
        raise NotFound("version", asked, f"Version {answers!r} answers this request.")
