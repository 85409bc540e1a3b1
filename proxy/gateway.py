"""The way of a request: decode, ask the arms, log, and only then answer."""

from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import TrainServeError
from lake.interface.messages import InterfaceName
from lake.interface.problems import Refused, problem_document
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
from proxy.arms import Arms
from proxy.exchange import Exchange
from proxy.labels import LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.rate_limit import RATE_LIMIT, RateLimits, TooMany
from proxy.router import Inactive, Settled
from proxy.ruled import changed_answer, settled_answer
from proxy.watch import Watch


class Answer(msgspec.Struct, frozen=True):
    """What the client gets; its rows are on disk, where the receipt says."""

    status: int
    body: bytes
    request_id: str
    receipt: str
    retry_after_s: int | None = None


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, arms: Arms, spool: GroupCommit, metrics: Metrics, outcomes: Outcomes) -> None:
        self._watch = watch
        self._arms = arms
        self._spool = spool
        self._metrics = metrics
        self._outcomes = outcomes
        self._limits = RateLimits()

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
            if (limit := state.parameters.rate_limit) is not None:
                exchange.rule = RATE_LIMIT
                self._limits.take(use_case, client_id, limit, self._watch.workers)
                exchange.rule = None
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body)
            exchange.rows, exchange.routing_key = rows, routing_key or decoder.entity(rows.records[0])
            given = await self._arms.ask(exchange, interface, len(rows.records))
            scores, engine, answered = given.scores, given.engine, given.body
            if exchange.fired is not None or exchange.threshold is not None:
                answered = changed_answer(exchange, interface, given.body, given.scores, decoder.schema.task)
        except Settled as settled:
            scores, engine, answered = None, None, settled_answer(exchange, interface, settled.scores)
            exchange.outcome = "answered" if settled.active else "inactive"
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        else:
            exchange.outcome = "answered"
        exchange.status, exchange.engine = HTTPStatus.OK, engine
        return await self._logged(exchange, answered, exchange.records(rows, scores), prove=prove)

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
        if isinstance(error, Inactive):
            exchange.outcome = "inactive"
        exchange.status = document.status
        refused = await self._logged(exchange, msgspec.json.encode(document), exchange.records(rows, None), prove=prove)
        return msgspec.structs.replace(refused, retry_after_s=error.retry_after_s) if isinstance(error, TooMany) else refused

    async def _logged(self, exchange: Exchange, body: bytes, records: list[bytes], *, prove: bool) -> Answer:
        if exchange.upstream_latency_us is not None and exchange.arm is not None:
            failed = exchange.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            self._outcomes.note(exchange.use_case, exchange.arm, exchange.upstream_latency_us, failed=failed)
        receipt = await self._spool.append(records)
        self._metrics.count(exchange.use_case, exchange.arm, exchange.outcome, exchange.started)
        if prove:
            body = with_proof(body, receipt.proof(records))
        return Answer(exchange.status, body, exchange.request_id, receipt.text)
