"""The way of a request: decode, ask the arms, log, and only then answer."""

from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import TrainServeError
from lake.interface.messages import InterfaceName
from lake.interface.problems import Refused, problem_document
from lake.log.group_commit import GroupCommit
from proxy.arms import Arms
from proxy.exchange import Exchange
from proxy.labels import LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.watch import Watch


class Answer(msgspec.Struct, frozen=True):
    """What the client gets; its rows are on disk."""

    status: int
    body: bytes
    request_id: str


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, arms: Arms, spool: GroupCommit, metrics: Metrics) -> None:
        self._watch = watch
        self._arms = arms
        self._spool = spool
        self._metrics = metrics

    async def answer(
        self, interface: InterfaceName, use_case: str, body: bytes, routing_key: str | None, client_id: str | None
    ) -> Answer:
        """The answer, logged. Raises NotFound for an unknown use case, SpoolUnavailable when it cannot be logged."""
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
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            given = await self._arms.ask(exchange, interface, len(rows.records))
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows)
        exchange.outcome, exchange.status, exchange.engine = "answered", HTTPStatus.OK, given.engine
        await self._log(exchange, rows, given.scores)
        return Answer(HTTPStatus.OK, given.body, exchange.request_id)

    async def accept_labels(self, use_case: str, body: bytes, client_id: str | None) -> LabelsAccepted:
        """Write labels to the log. Raises NotFound, Unavailable, InvalidInput, SpoolUnavailable; then none is kept."""
        records = label_records(body, self._watch.reading(use_case).labels, client_id)
        await self._spool.append(records)
        self._metrics.labels.labels(use_case).inc(len(records))
        return LabelsAccepted(len(records))

    async def _refuse(self, exchange: Exchange, error: Exception, rows: Rows | None) -> Answer:
        if isinstance(error, msgspec.MsgspecError):
            error = Refused(HTTPStatus.BAD_GATEWAY, f"The model's answer could not be read ({error}).")
        document = problem_document(error, exchange.request_id)
        exchange.outcome = "refused" if document.status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"
        exchange.status = document.status
        await self._log(exchange, rows, None)
        return Answer(document.status, msgspec.json.encode(document), exchange.request_id)

    async def _log(self, exchange: Exchange, rows: Rows | None, scores: list[list[float]] | None) -> None:
        await self._spool.append(exchange.records(rows, scores))
        self._metrics.count(exchange.use_case, exchange.arm, exchange.outcome, exchange.started)
