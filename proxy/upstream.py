"""Calls a predictor: one pooled HTTP client, a timeout, one second try where the first did not reach it."""

import random
import time
from datetime import timedelta
from http import HTTPStatus

import msgspec
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from lake.interface.messages import REQUEST_ID_HEADER, InterfaceName
from lake.interface.problems import Refused

ATTEMPTS = 2

_PATHS: dict[InterfaceName, str] = {"predict": "/models/{}/predict", "infer": "/v2/models/{}/infer"}


class UpstreamAnswer(msgspec.Struct, frozen=True):
    """What a predictor answered, after how many attempts and how long."""

    status: int
    body: bytes
    attempts: int
    latency_us: int


class UpstreamFailed(Refused):
    """No predictor of the arm answered."""

    def __init__(self, status: HTTPStatus, detail: str, attempts: int, latency_us: int) -> None:
        super().__init__(status, detail)
        self.attempts = attempts
        self.latency_us = latency_us


class Upstreams:
    """The predictors of all arms."""

    def __init__(self) -> None:
        self._client: Client = ClientBuilder().no_proxy().http1_only().tcp_nodelay(enabled=True).build()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def predict(
        self,
        urls: tuple[str, ...],
        interface: InterfaceName,
        name: str,
        body: bytes,
        request_id: str,
        timeout_s: float,
        trace_headers: dict[str, str] | None = None,
    ) -> UpstreamAnswer:
        """Ask one of the replicas. A prediction changes nothing, so a failed connection is tried once more.

        Raises UpstreamFailed: 504 after the timeout, 503 when no replica could be reached.
        """
        started = time.perf_counter()
        deadline = timedelta(seconds=timeout_s)
        path = _PATHS[interface].format(name)
        for attempt in range(1, ATTEMPTS + 1):
            url = random.choice(urls) if len(urls) > 1 else urls[0]  # noqa: S311 - balancing, not secrecy
            try:
                request = self._client.post(url + path).header(REQUEST_ID_HEADER, request_id).body_bytes(body).timeout(deadline)
                if trace_headers is not None:
                    request = request.headers(trace_headers)
                response = await request.build().send()
                return UpstreamAnswer(response.status, bytes(await response.bytes()), attempt, _elapsed_us(started))
            except RequestTimeoutError as error:
                detail = f"The model did not answer within {timeout_s:g} s."
                raise UpstreamFailed(HTTPStatus.GATEWAY_TIMEOUT, detail, attempt, _elapsed_us(started)) from error
            except PyreqwestError as error:
                failure = error
        detail = f"The model could not be reached in {ATTEMPTS} attempts; try again shortly."
        raise UpstreamFailed(HTTPStatus.SERVICE_UNAVAILABLE, detail, ATTEMPTS, _elapsed_us(started)) from failure

    async def fetch(self, url: str, timeout_s: float) -> tuple[int, bytes]:
        """Read a page of a predictor. Raises Refused when it cannot be reached."""
        try:
            response = await self._client.get(url).timeout(timedelta(seconds=timeout_s)).build().send()
            return response.status, bytes(await response.bytes())
        except PyreqwestError as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The model could not be reached; try again shortly.") from error


def _elapsed_us(started: float) -> int:
    return int((time.perf_counter() - started) * 1_000_000)
