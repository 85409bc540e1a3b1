"""The way of a request: decode, ask the arms, log, and only then answer."""

import time
from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import TrainServeError
from lake.interface.messages import InterfaceName
from lake.interface.problems import problem_document
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from proxy.arms import Arms
from proxy.exchange import Exchange
from proxy.labels import LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.shadows import Shadows
from proxy.watch import Watch


class Answer(msgspec.Struct, frozen=True):
    """What the client gets; its rows are on disk, where the receipt says."""

    status: int
    body: bytes
    request_id: str
    receipt: str


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
        self._outcomes = outcomes

    async def answer(
        self,
        interface: InterfaceName,
        use_case: str,
        body: bytes,
        *,
        routing_key: str | None,
        client_id: str | None,
        prove: bool,
    ) -> Answer:
        """The answer, logged, with its proof if that is asked for.

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
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            given = await self._arms.ask(exchange, interface, len(rows.records))
        except TrainServeError as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        exchange.outcome, exchange.status, exchange.engine = "answered", HTTPStatus.OK, given.engine
        answer = await self._logged(exchange, given.body, exchange.records(rows, given.scores), prove=prove)
        self._shadows.mirror(exchange, interface, rows)
        return answer

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
        document = problem_document(error, exchange.request_id)
        exchange.outcome = "refused" if document.status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"
        exchange.status = document.status
        return await self._logged(exchange, msgspec.json.encode(document), exchange.records(rows, None), prove=prove)

    async def _logged(self, exchange: Exchange, body: bytes, records: list[bytes], *, prove: bool) -> Answer:
        receipt = await self._spool.append(records)
        self._metrics.count(exchange.use_case, exchange.arm, exchange.outcome, exchange.started)
        latency_us = int((time.perf_counter() - exchange.started) * 1_000_000)
        self._outcomes.note(exchange.use_case, None, latency_us, failed=exchange.outcome == "failed")
        if prove:
            body = with_proof(body, receipt.proof(records))
        return Answer(exchange.status, body, exchange.request_id, receipt.text)
