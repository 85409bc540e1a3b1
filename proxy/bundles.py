"""The way of requests to one predictor: those of one moment go as one bundle, and one that is alone goes as it is.

Who comes first waits until the event loop has been round once, and takes along who has come meanwhile: nobody under little load,
and many under much. A bundle that is not answered as one, by a predictor of before there were bundles, or one that broke, is no
failure of its requests: each then goes for itself, as all others do for a while.
"""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from itertools import zip_longest

import structlog

from lake.interface.bundle import (
    BUNDLE_MEDIA_TYPE,
    BUNDLE_PATH,
    LARGEST_BODY_BYTES,
    MOST_REQUESTS,
    ModelRequest,
    ModelResponse,
    NotABundle,
    encode_bundle,
    read_responses,
)
from proxy.connection import CallFailed, CallTimedOut
from proxy.pool import Pool

PAUSE_S = 10.0
_SAME_TIME_S = 0.01  # who is in one bundle has as long as the others, within this

log = structlog.get_logger(__name__)


class _Bundle:
    """A bundle that is still open."""

    def __init__(self, first: ModelRequest, timeout_s: float) -> None:
        self.requests = [first]
        self.timeout_s = timeout_s
        self._others: list[asyncio.Future[ModelResponse | None]] = []

    def takes(self, timeout_s: float) -> bool:
        """Whether another one may come along that has so much time."""
        return len(self.requests) < MOST_REQUESTS and abs(timeout_s - self.timeout_s) <= _SAME_TIME_S

    def add(self, request: ModelRequest) -> asyncio.Future[ModelResponse | None]:
        """Take another one along."""
        waiting: asyncio.Future[ModelResponse | None] = asyncio.get_running_loop().create_future()
        self.requests.append(request)
        self._others.append(waiting)
        return waiting

    def end(self, responses: Sequence[ModelResponse]) -> None:
        """Give each but the first its response, or none; but not who has failed, or was cancelled."""
        for waiting, response in zip_longest(self._others, responses[1:]):
            if not waiting.done():
                waiting.set_result(response)

    def fail(self, error: CallTimedOut) -> None:
        """Tell each but the first, who knows it."""
        for waiting in self._others:
            if not waiting.done():
                waiting.set_exception(error)


class Bundles:
    """Calls one predictor over the connections of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._open: _Bundle | None = None
        self._none_before = 0.0

    async def call(self, request: ModelRequest, timeout_s: float) -> ModelResponse:
        """The response to a request. Raises CallTimedOut, CallFailed."""
        began = time.perf_counter()
        if len(request.body) <= LARGEST_BODY_BYTES and began >= self._none_before:
            response = await self._together(request, timeout_s)
            if response is not None:
                return response
            timeout_s -= time.perf_counter() - began
        return await self._pool.call("POST", request.path, request.body, request.request_id, timeout_s, request.trace_headers)

    async def _together(self, request: ModelRequest, timeout_s: float) -> ModelResponse | None:
        """The response to one request of a bundle; None where it has to go for itself. Raises CallTimedOut."""
        if self._open is not None and self._open.takes(timeout_s):
            return await self._open.add(request)
        bundle = self._open = _Bundle(request, timeout_s)
        responses: Sequence[ModelResponse] = ()
        try:
            await asyncio.sleep(0)
            self._close(bundle)
            if len(bundle.requests) > 1:
                responses = await self._send(bundle)
        except CallTimedOut as error:
            bundle.fail(error)
            raise
        finally:
            self._close(bundle)
            bundle.end(responses)
        return responses[0] if responses else None

    def _close(self, bundle: _Bundle) -> None:
        if self._open is bundle:
            self._open = None

    async def _send(self, bundle: _Bundle) -> Sequence[ModelResponse]:
        """The responses to a bundle; none where it was not answered as one. Raises CallTimedOut."""
        body, number = encode_bundle(bundle.requests), len(bundle.requests)
        try:
            response = await self._pool.call("POST", BUNDLE_PATH, body, "", bundle.timeout_s, media_type=BUNDLE_MEDIA_TYPE)
            if response.status == HTTPStatus.OK:
                return read_responses(response.body, number)
        except CallTimedOut:
            raise
        except (CallFailed, NotABundle) as error:
            log.debug("a bundle was not answered", why=str(error))
        self._none_before = time.perf_counter() + PAUSE_S
        return ()
