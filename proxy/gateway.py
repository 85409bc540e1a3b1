"""The way of a request: decode, route, ask the predictor, check who answered, log, and only then answer."""

import asyncio
from http import HTTPStatus

import msgspec
import structlog

from lake.decoder import Decoder, Rows
from lake.errors import TrainServeError
from lake.home import now_us
from lake.interface.messages import InterfaceName, Provenance, read_response
from lake.interface.problems import Refused, problem_document
from lake.spool.group_commit import GroupCommit
from proxy.exchange import Exchange
from proxy.labels import LabelBatch, LabelsAccepted, label_records
from proxy.metrics import Metrics
from proxy.routing import choose
from proxy.upstream import UpstreamAnswer, UpstreamFailed, Upstreams
from proxy.watch import State, Watch

log = structlog.get_logger(__name__)


class Answer(msgspec.Struct, frozen=True):
    """What the client gets; its rows are on disk."""

    status: int
    body: bytes
    request_id: str


class Gateway:
    """Answers requests for every use case of the watch."""

    def __init__(self, watch: Watch, upstreams: Upstreams, spool: GroupCommit, metrics: Metrics) -> None:
        self._watch = watch
        self._upstreams = upstreams
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
            decoder = self._watch.decoder(use_case)
            rows = decoder.records(body) if interface == "predict" else decoder.tensors(body)
            exchange.routing_key = routing_key or decoder.entity(rows.records[0])
            upstream = await self._ask(exchange, state, interface)
            scores, provenance = read_response(interface, upstream.body, len(rows.records))
            await self._check_live(exchange, provenance)
        except (TrainServeError, msgspec.MsgspecError) as error:
            return await self._refuse(exchange, error, rows)
        exchange.outcome, exchange.status, exchange.engine = "answered", HTTPStatus.OK, provenance.engine
        await self._log(exchange, rows, decoder, scores)
        return Answer(HTTPStatus.OK, upstream.body, exchange.request_id)

    async def accept_labels(self, use_case: str, batch: LabelBatch, client_id: str | None) -> LabelsAccepted:
        """Write labels to the log. Raises NotFound, Unavailable, InvalidInput, SpoolUnavailable; then none is kept."""
        records = label_records(batch, self._watch.decoder(use_case).schema, client_id)
        await self._spool.append(records)
        self._metrics.labels.labels(use_case).inc(len(records))
        return LabelsAccepted(len(records))

    async def _ask(self, exchange: Exchange, state: State, interface: InterfaceName) -> UpstreamAnswer:
        if not state.parameters.active:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"Model {exchange.use_case!r} is switched off by its operator.")
        route = choose(state.parameters, state.live, exchange.routing_key or exchange.request_id)
        if route is None:
            detail = f"No champion of {exchange.use_case!r} is released and reachable."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        exchange.rule, exchange.release, exchange.arm = route.rule, route.release, route.release.arm
        urls = state.parameters.arms[route.release.arm].upstreams
        try:
            upstream = await self._upstreams.predict(
                urls, interface, exchange.use_case, exchange.body, exchange.request_id, state.parameters.timeout_s
            )
        except UpstreamFailed as error:
            exchange.attempts, exchange.upstream_latency_us = error.attempts, error.latency_us
            raise
        exchange.attempts, exchange.upstream_latency_us = upstream.attempts, upstream.latency_us
        if upstream.status != HTTPStatus.OK:
            raise _refused_upstream(upstream)
        return upstream

    async def _check_live(self, exchange: Exchange, by: Provenance) -> None:
        """Raises Refused unless the arm asked answers this very request, with a package that the ledger shows live on it.

        Looks again before it says no: the predictor may have heard of a release first.
        """
        release = self._watch.state(exchange.use_case).release_of(by.arm, by.package_digest, now_us())
        if release is None:
            await asyncio.to_thread(self._watch.look)
            release = self._watch.state(exchange.use_case).release_of(by.arm, by.package_digest, now_us())
        if release is None or by.arm != exchange.arm or by.request_id != exchange.request_id:
            log.error(
                "answer withheld: not the live package of the arm that was asked",
                asked=exchange.arm,
                answered=by.arm,
                package=by.package_digest[:12],
                request_id=exchange.request_id,
                answered_request_id=by.request_id,
            )
            raise Refused(
                HTTPStatus.BAD_GATEWAY, "The model that answered is not the one that was released; the answer is withheld."
            )
        exchange.release = release

    async def _refuse(self, exchange: Exchange, error: Exception, rows: Rows | None) -> Answer:
        if isinstance(error, msgspec.MsgspecError):
            error = Refused(HTTPStatus.BAD_GATEWAY, f"The model's answer could not be read ({error}).")
        document = problem_document(error, exchange.request_id)
        exchange.outcome = "refused" if document.status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed"
        exchange.status = document.status
        await self._log(exchange, rows, self._watch.state(exchange.use_case).decoder, None)
        return Answer(document.status, msgspec.json.encode(document), exchange.request_id)

    async def _log(
        self, exchange: Exchange, rows: Rows | None, decoder: Decoder | None, scores: list[list[float]] | None
    ) -> None:
        await self._spool.append(exchange.records(rows, decoder, scores))
        self._metrics.count(exchange.use_case, exchange.arm, exchange.outcome, exchange.started)


class _Detail(msgspec.Struct):
    detail: str = "The model answered with an error."


def _refused_upstream(answer: UpstreamAnswer) -> Refused:
    """What the client gets instead: a predictor's refusal of the body and its own 503, in its words; else 502."""
    if answer.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE):
        return Refused(HTTPStatus.BAD_GATEWAY, f"The model answered with status {answer.status}.")
    try:
        detail = msgspec.json.decode(answer.body, type=_Detail).detail
    except msgspec.MsgspecError:
        detail = _Detail().detail
    return Refused(HTTPStatus(answer.status), detail)
