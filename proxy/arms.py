"""Asks the arms: only a live release answers; while predictors swap they are asked again, and where an arm fails its fallback."""

import asyncio
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus

import msgspec
import structlog

from lake.home import now_us
from lake.interface.bundle import ModelRequest
from lake.interface.messages import InterfaceName, Provenance
from lake.interface.problems import Refused
from lake.log.exchange import Exchange
from lake.parameters.reserved import RANDOMISED
from lake.release.live import Release
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.resilience import Resilience, resilience_of
from proxy.router import Router
from proxy.routing import Route
from proxy.upstream import Inquiry, UpstreamAnswer, UpstreamFailed, Upstreams
from proxy.watch import Watch

# Within so long a predictor has followed the ledger: half a second until it looks, and the time to load a model.
PATIENCE_S = 2.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.2
_LAST_PART = 0.1  # of the timeout: with less of it left a predictor is not asked again
_LEAST_S = 0.005  # with less time left no other arm is asked

FindRoute = Callable[[], Route]

log = structlog.get_logger(__name__)


class Given(msgspec.Struct, frozen=True):
    """The answer of a live release: what the predictor sent, its scores row by row, and the engine that gave them."""

    body: bytes
    scores: Sequence[list[float]]
    engine: str


class Arms:
    """The predictors of every use case, asked by routes."""

    def __init__(self, watch: Watch, upstreams: Upstreams, metrics: Metrics, outcomes: Outcomes) -> None:
        self._watch = watch
        self._router = Router(watch)
        self._upstreams = upstreams
        self._metrics = metrics
        self._outcomes = outcomes
        self._in_vain: dict[tuple[str, str], tuple[str, int]] = {}

    async def ask(self, exchange: Exchange, interface: InterfaceName, rows: int) -> Given:
        """The answer of a live release. Raises Refused, Unavailable, Settled; what cannot be read is refused too.

        An arm that fails is made up for by its fallback, in the time that is left.
        """
        resilience = resilience_of(self._watch.state(exchange.use_case).parameters)
        deadline = time.perf_counter() + resilience.timeout_s
        request = ModelRequest(interface, exchange.use_case, exchange.request_id, exchange.body, exchange.trace_headers)
        inquiry = Inquiry(request, rows)
        failed: list[str] = []

        def find_route() -> Route:
            instead = self._router.made_up_for(exchange.use_case, failed) if failed else None
            return instead or self._router.route(exchange)

        while True:
            try:
                given = await self._ask_patiently(exchange, inquiry, find_route, resilience, deadline)
            except Refused as refusal:
                if refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR or exchange.arm is None:
                    raise
                self._note(exchange, exchange.arm, failed=True)
                failed.append(exchange.arm)
                if deadline - time.perf_counter() < _LEAST_S or not self._router.made_up_for(exchange.use_case, failed):
                    raise
                if exchange.rule in RANDOMISED:
                    exchange.assigned = exchange.release
                self._metrics.fallbacks.labels(exchange.use_case, exchange.arm).inc()
            else:
                self._note(exchange, exchange.arm or "", failed=False)
                return given

    async def _ask_patiently(
        self, exchange: Exchange, inquiry: Inquiry, find_route: FindRoute, resilience: Resilience, deadline: float
    ) -> Given:
        """The answer of the arm that the route names.

        Predictors follow the ledger by themselves: one may still answer with what was revoked, already with what this
        proxy has not heard of, or say that it has nothing any more. Then the ledger is looked at again and the request
        sent again, for a while, by the route that is right then.
        """
        began, pause_s = time.perf_counter(), _FIRST_PAUSE_S
        while True:
            try:
                return await self._ask_once(exchange, inquiry, find_route, resilience, deadline)
            except _Swapping as swapping:
                paused = time.perf_counter() + pause_s
                if paused > min(began + PATIENCE_S, deadline - resilience.timeout_s * _LAST_PART):
                    raise self._given_up(exchange, swapping) from swapping
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _ask_once(
        self, exchange: Exchange, inquiry: Inquiry, find_route: FindRoute, resilience: Resilience, deadline: float
    ) -> Given:
        route = find_route()
        exchange.rule, exchange.release, exchange.arm = route.rule, route.release, route.release.arm
        upstream = await self._send(exchange, inquiry, resilience, deadline)
        if upstream.by is None:
            refusal = _refused_upstream(upstream)
            if upstream.status == HTTPStatus.SERVICE_UNAVAILABLE:
                await self._watch.look_again()
                if find_route() != route:
                    raise _Swapping(refusal)
            raise refusal
        by = upstream.by
        if by.arm != exchange.arm or by.request_id != exchange.request_id:
            raise _withheld(exchange, by)
        release = await self._live_release(exchange.use_case, by)
        if release is None:
            if self._in_vain.get((exchange.use_case, by.arm)) == (by.package_digest, route.release.seq):
                raise _withheld(exchange, by)
            raise _Swapping(by)
        exchange.release = release
        return Given(upstream.body, upstream.scores, by.engine)

    def _note(self, exchange: Exchange, arm: str, *, failed: bool) -> None:
        self._outcomes.note(exchange.use_case, arm, exchange.upstream_latency_us or 0, failed=failed)

    async def _send(self, exchange: Exchange, inquiry: Inquiry, resilience: Resilience, deadline: float) -> UpstreamAnswer:
        arm = exchange.arm or ""
        addresses = self._watch.state(exchange.use_case).parameters.arms[arm].upstreams
        try:
            upstream = await self._upstreams.ask(arm, addresses, inquiry, resilience, deadline - time.perf_counter())
        except UpstreamFailed as error:
            exchange.attempts, exchange.upstream_latency_us = exchange.attempts + error.attempts, error.latency_us
            raise
        exchange.attempts, exchange.upstream_latency_us = exchange.attempts + upstream.attempts, upstream.latency_us
        return upstream

    async def _live_release(self, use_case: str, by: Provenance) -> Release | None:
        """The live release whose package answered, by a ledger that is read again before the answer is no."""
        release = self._watch.state(use_case).release_of(by.arm, by.package_digest, now_us())
        if release is None:
            await self._watch.look_again()
            release = self._watch.state(use_case).release_of(by.arm, by.package_digest, now_us())
        return release

    def _given_up(self, exchange: Exchange, swapping: "_Swapping") -> Refused:
        """The refusal that ends the wait. Who answers so again is not waited for again."""
        if isinstance(swapping.why, Refused):
            return swapping.why
        seq = 0 if exchange.release is None else exchange.release.seq
        self._in_vain[exchange.use_case, swapping.why.arm] = (swapping.why.package_digest, seq)
        return _withheld(exchange, swapping.why)


class _Swapping(Exception):
    """What a swap of models may explain: who answered, or the predictor's refusal."""

    def __init__(self, why: Provenance | Refused) -> None:
        self.why = why
        super().__init__()


def _withheld(exchange: Exchange, by: Provenance) -> Refused:
    log.error(
        "answer withheld: not the live package of the arm that was asked",
        asked=exchange.arm,
        answered=by.arm,
        package=by.package_digest[:12],
        request_id=exchange.request_id,
        answered_request_id=by.request_id,
    )
    return Refused(HTTPStatus.BAD_GATEWAY, "The model that answered is not the one that was released; the answer is withheld.")


_TOLD = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE)


class _Detail(msgspec.Struct):
    detail: str = "The model answered with an error."


def _refused_upstream(answer: UpstreamAnswer) -> Refused:
    """What the client gets instead: a predictor's refusal of the body and its own 503, in its words; else 502."""
    if answer.status not in _TOLD:
        return Refused(HTTPStatus.BAD_GATEWAY, f"The model answered with status {answer.status}.")
    try:
        detail = msgspec.json.decode(answer.body, type=_Detail).detail
    except msgspec.MsgspecError:
        detail = _Detail().detail
    return Refused(HTTPStatus(answer.status), detail)
