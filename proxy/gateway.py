"""The way of a request: decode, ask the arms, log, and only then answer."""

from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import NotFound, TrainServeError
from lake.interface.answers import read_answer, write_answer
from lake.interface.messages import Encoded, InterfaceName
from lake.interface.problems import Refused, problem_document
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from lake.protocol import protocol_version
from lake.release.live import Release
from proxy.arms import Arms
from proxy.exchange import Exchange
from proxy.labels import LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.watch import Watch


class Answer(msgspec.Struct, frozen=True):
    """What the client gets, `tensors` behind the body if it wants any; its rows are on disk, where the receipt says."""

    status: int
    body: bytes
    request_id: str
    receipt: str
    tensors: bytes = b""


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, arms: Arms, spool: GroupCommit, metrics: Metrics) -> None:
        self._watch = watch
        self._arms = arms
        self._spool = spool
        self._metrics = metrics

    async def answer(
        self,
        interface: InterfaceName,
        use_case: str,
        body: bytes,
        *,
        routing_key: str | None,
        client_id: str | None,
        prove: bool,
        version: str | None = None,
        json_length: str | None = None,
    ) -> Answer:
        """The answer, logged, with its proof if that is asked for.

        Scores are asked for in JSON and logged, whatever the client wants: for binary tensors, and for an answer without the
        scores, the predictor is asked about records, and the client's answer written here.

        Raises NotFound for an unknown use case, SpoolUnavailable when it cannot be logged.
        """
        state = self._watch.state(use_case)
        exchange = Exchange(
            use_case=use_case,
            body=body,
            client_id=client_id,
            parameters_version=state.parameters.version,
        )
        rows: Rows | None = None
        try:
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body, json_length)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            as_it_is = interface == "predict" or (json_length is None and rows.wants_scores_in_json)
            if not as_it_is:
                exchange.body = decoder.written(rows)
            given = await self._arms.ask(exchange, interface if as_it_is else "predict", len(rows.records))
            if version is not None and exchange.release is not None:
                _check_version(version, exchange.release)
            answer = Encoded(given.body)
            if not as_it_is:
                read = read_answer("predict", given.body, len(rows.records))
                answer = write_answer(interface, read, rows.client_request_id, rows.outputs, decoder.schema)
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        exchange.outcome, exchange.status, exchange.engine = "answered", HTTPStatus.OK, given.engine
        logged = await self._logged(exchange, answer.text, exchange.records(rows, given.scores), prove=prove)
        return msgspec.structs.replace(logged, tensors=answer.tensors) if answer.tensors else logged

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
        document = problem_document(error, exchange.request_id)
        exchange.outcome = "refused" if document.status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"
        exchange.status = document.status
        return await self._logged(exchange, msgspec.json.encode(document), exchange.records(rows, None), prove=prove)

    async def _logged(self, exchange: Exchange, body: bytes, records: list[bytes], *, prove: bool) -> Answer:
        receipt = await self._spool.append(records)
        self._metrics.count(exchange.use_case, exchange.arm, exchange.outcome, exchange.started)
        if prove:
            body = with_proof(body, receipt.proof(records))
        return Answer(exchange.status, body, exchange.request_id, receipt.text)


def _check_version(asked: str, answering: Release) -> None:
    """Raises NotFound where another version answers a request than it asks for."""
    answers = protocol_version(answering.model_version)
    if asked not in (answers, answering.model_version):
        raise NotFound("version", asked, f"Version {answers!r} answers this request.")
