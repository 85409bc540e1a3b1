"""The way of a request: decode, ask the arms, log, and only then answer."""

import time
from http import HTTPStatus

import msgspec
from litestar.exceptions import HTTPException

from lake.decoder import Rows
from lake.errors import NotFound, TrainServeError
from lake.interface.messages import InterfaceName
from lake.interface.problems import Refused, problem_document
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from proxy.access import NoRole
from proxy.arms import Arms
from proxy.budget import Budget
from proxy.exchange import Exchange
from proxy.labels import LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.shadows import Shadows
from proxy.watch import Watch

# Who has no key may not fill the log: of those who are refused for that, so many a second leave a row.
STRANGERS_PER_S = 10.0


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
        self._strangers = Budget(time.monotonic(), STRANGERS_PER_S)

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
        exchange = self._exchange(use_case, body, client_id)
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

    async def refuse(self, use_case: str, error: Refused | HTTPException, client_id: str | None) -> Answer:
        """The problem that answers a request for predictions which was refused before it was read; a row as well.

        Raises the error itself where there is no row: for a use case that is not here, and for strangers beyond a few a
        second. Raises SpoolUnavailable.
        """
        status = int(problem_document(error).status)
        if use_case not in self._watch.use_cases or (status == HTTPStatus.UNAUTHORIZED and not self._may_leave_a_row()):
            self._metrics.not_logged.labels(status).inc()
            raise error
        named = error.client_id if isinstance(error, NoRole) else client_id
        return await self._refuse(self._exchange(use_case, b"", named), error, None, prove=False)

    async def accept_labels(self, use_case: str, body: bytes, client_id: str | None, *, prove: bool) -> tuple[bytes, str]:
        """Write labels to the log. Raises NotFound, Unavailable, InvalidInput, SpoolUnavailable; then none is kept.

        Returns the answer and its receipt.
        """
        records = label_records(body, self._watch.reading(use_case).labels, client_id)
        receipt = await self._spool.append(records)
        self._metrics.labels.labels(use_case).inc(len(records))
        accepted = msgspec.json.encode(LabelsAccepted(len(records)))
        return with_proof(accepted, receipt.proof(records)) if prove else accepted, receipt.text

    def _may_leave_a_row(self) -> bool:
        """Whether a stranger may, now."""
        self._strangers.earn(0, time.monotonic(), STRANGERS_PER_S)
        return self._strangers.take()

    def _exchange(self, use_case: str, body: bytes, client_id: str | None) -> Exchange:
        """What begins. Raises NotFound: there is no table for a row of a use case that is not here."""
        try:
            parameters = self._watch.state(use_case).parameters
        except NotFound:
            self._metrics.not_logged.labels(int(HTTPStatus.NOT_FOUND)).inc()
            raise
        return Exchange(use_case=use_case, body=body, client_id=client_id, parameters_version=parameters.version)

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
