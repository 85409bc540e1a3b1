"""Asks the predictors of an arm: one of its replicas, within the timeout, and another one where that may help.

A prediction changes nothing, so it may be asked for twice. A failure counts against the replica's circuit: no connection, no
whole response in time, an answer that cannot be read, a status from 500 on. A 503 does not: with that a predictor says that
it has no model to answer with, and it swaps models by itself.
"""

import time
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from lake.interface.answers import read_response
from lake.interface.bundle import ModelRequest
from lake.interface.messages import Provenance
from lake.interface.problems import Refused
from proxy.connection import CallFailed, CallTimedOut
from proxy.metrics import Metrics
from proxy.pool import Unreachable
from proxy.replicas import Replica, Replicas, ReplicaState
from proxy.resilience import Resilience

_NOBODY = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The model could not be reached; try again shortly.")
# The part of the time left that an attempt takes at most while another replica could still be asked.
_OF_AN_ATTEMPT, _OF_A_PROBE = 0.75, 0.5
_LEAST_S = 0.001  # with less time left, no other attempt is worth its while


class Inquiry(msgspec.Struct, frozen=True, gc=False):
    """What an arm is asked, and how many rows that has."""

    request: ModelRequest
    rows: int


class UpstreamAnswer(msgspec.Struct):
    """What a predictor answered, after how many attempts and how long; with status 200, its scores and who gave them."""

    status: int
    body: bytes
    scores: Sequence[list[float]]
    by: Provenance | None
    attempts: int = 0
    latency_us: int = 0


class UpstreamFailed(Refused):
    """No predictor of the arm answered."""

    def __init__(self, status: HTTPStatus, detail: str, attempts: int, latency_us: int) -> None:
        super().__init__(status, detail)
        self.attempts = attempts
        self.latency_us = latency_us


class Upstreams:
    """The predictors of all arms."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._arms: dict[tuple[str, str], Replicas] = {}

    async def close(self) -> None:
        """Close the connections."""
        for replicas in self._arms.values():
            replicas.close()

    def states(self, use_case: str, arm: str) -> list[ReplicaState]:
        """What is known of the replicas of an arm; empty before it was asked for the first time."""
        replicas = self._arms.get((use_case, arm))
        return [] if replicas is None else replicas.states(time.perf_counter())

    def is_open(self, use_case: str, arm: str) -> bool:
        """Whether no replica of the arm is asked now, but for probes."""
        states = self.states(use_case, arm)
        return bool(states) and all(one.circuit != "closed" for one in states)

    def admits(self, use_case: str, arm: str) -> bool:
        """Whether some replica of the arm may be asked now, as far as is known."""
        replicas = self._arms.get((use_case, arm))
        return replicas is None or replicas.choose(time.perf_counter()) is not None

    async def ask(
        self, arm: str, addresses: tuple[str, ...], inquiry: Inquiry, resilience: Resilience, timeout_s: float
    ) -> UpstreamAnswer:
        """The answer of one of the replicas.

        Raises UpstreamFailed: 504 after the timeout, 502 for an answer that cannot be read, 503 when there was none.
        """
        began = now = time.perf_counter()
        replicas = self._replicas(inquiry.request.name, arm, addresses, resilience)
        replicas.budget.earn(resilience.retry_share, now, resilience.retries_per_s)
        tried: list[Replica] = []
        last: UpstreamAnswer | Exception | None = None
        while len(tried) < resilience.attempts:
            replica = replicas.choose(now, tried)
            if replica is None and _is_broken(last):
                replica = replicas.choose(now)  # the same again: what broke may have been the connection alone
            left_s = timeout_s - (now - began)
            if replica is None or (tried and (left_s < _LEAST_S or not self._takes_retry(inquiry.request.name, arm, replicas))):
                break
            tried.append(replica)
            if len(addresses) > 1 and replicas.choose(now, tried) is not None:  # one that hangs leaves time for another
                left_s *= _OF_A_PROBE if replica.circuit.state(now) != "closed" else _OF_AN_ATTEMPT
            last = await _attempt(replica, inquiry, resilience, left_s)
            if isinstance(last, UpstreamAnswer) and last.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                break
            now = time.perf_counter()
        latency_us = int((time.perf_counter() - began) * 1_000_000)
        if isinstance(last, UpstreamAnswer):
            last.attempts, last.latency_us = len(tried), latency_us
            return last
        raise UpstreamFailed(*_refusal(last, len(tried), resilience), len(tried), latency_us) from last

    async def fetch(
        self, use_case: str, arm: str, addresses: tuple[str, ...], path: str, resilience: Resilience
    ) -> tuple[int, bytes]:
        """A page of one of the replicas. Raises Refused when it cannot be reached."""
        replica = self._replicas(use_case, arm, addresses, resilience).choose(time.perf_counter())
        if replica is None:
            raise _NOBODY
        try:
            response = await replica.pool.call("GET", path, b"", "", resilience.timeout_s)
        except CallFailed as error:
            raise _NOBODY from error
        return response.status, response.body

    def _replicas(self, use_case: str, arm: str, addresses: tuple[str, ...], resilience: Resilience) -> Replicas:
        replicas = self._arms.get((use_case, arm))
        if replicas is None:
            replicas = self._arms[use_case, arm] = Replicas(time.perf_counter(), resilience)
        replicas.follow(addresses)
        return replicas

    def _takes_retry(self, use_case: str, arm: str, replicas: Replicas) -> bool:
        """Whether the budget has a retry left."""
        taken = replicas.budget.take()
        (self._metrics.retries if taken else self._metrics.retries_refused).labels(use_case, arm).inc()
        return taken


async def _attempt(replica: Replica, inquiry: Inquiry, resilience: Resilience, timeout_s: float) -> UpstreamAnswer | Exception:
    """Ask this replica once: what it answered, or why that is no answer."""
    epoch, failure, healthy = replica.enter(), None, None
    try:
        response = await replica.bundles.call(inquiry.request, timeout_s)
        if response.status == HTTPStatus.OK:
            scores, by = read_response(inquiry.request.interface, response.body, inquiry.rows)
            healthy = True
            return UpstreamAnswer(response.status, response.body, scores, by)
        healthy = response.status < HTTPStatus.INTERNAL_SERVER_ERROR or response.status == HTTPStatus.SERVICE_UNAVAILABLE
        failure = None if healthy else f"it answered with status {response.status}"
        return UpstreamAnswer(response.status, response.body, [], None)
    except (CallFailed, msgspec.MsgspecError) as error:
        healthy, failure = False, str(error)
        return error
    finally:
        replica.leave(epoch, healthy=healthy, why=failure, now=time.perf_counter(), resilience=resilience)


def _is_broken(last: UpstreamAnswer | Exception | None) -> bool:
    return isinstance(last, CallFailed) and not isinstance(last, CallTimedOut)


def _refusal(failure: Exception | None, attempts: int, resilience: Resilience) -> tuple[HTTPStatus, str]:
    """What the client is told when there was no answer."""
    tries = f"{attempts} attempt{'s' if attempts > 1 else ''}"
    match failure:
        case None:
            return (
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The model has failed again and again and is left alone for a while; try later.",
            )
        case CallTimedOut():
            return HTTPStatus.GATEWAY_TIMEOUT, f"The model did not answer within {resilience.timeout_s:g} s."
        case Unreachable():
            return HTTPStatus.SERVICE_UNAVAILABLE, f"The model could not be reached in {tries}; try again shortly."
        case CallFailed():
            return HTTPStatus.SERVICE_UNAVAILABLE, f"The model gave no whole answer in {tries}; try again shortly."
        case _:
            return HTTPStatus.BAD_GATEWAY, f"The model's answer could not be read ({failure})."
