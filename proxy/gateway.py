"""The way of a request: decode, ask the arms, log, and only then answer."""

from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import TrainServeError
from lake.interface.labels import LabelsAccepted, label_records
from lake.interface.logged import Answer, AnswerLog
from lake.interface.messages import InterfaceName
from lake.interface.problems import Refused
from lake.interface.trace import Trace
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.log.receipts import with_proof
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
        interface: InterfaceName,
        use_case: str,
        body: bytes,
        *,
        routing_key: str | None,
        client_id: str | None,
        trace: Trace | None,
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
        if trace is not None:
            exchange.trace_id, exchange.trace_headers = trace.trace_id, trace.headers
        rows: Rows | None = None
        try:
            reading = self._watch.reading(use_case)
            decoder, exchange.redactor = reading.decoder, reading.redactor
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            given = await self._arms.ask(exchange, interface, len(rows.records))
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows, prove=prove)
        exchange.engine = given.engine
        return await self._log.answered(exchange, given.body, rows, given.scores, prove=prove)

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
