"""Asks a proxy for its parameters, and to change them, as its API says."""

import os
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import msgspec

from lake.errors import Conflict, InvalidInput, SettingError, TrainServeError, Unavailable
from lake.interface.problems import ProblemDocument
from lake.parameters.document import Change, Parameters

PROXY, KEY = "TRAINSERVE_PROXY", "TRAINSERVE_API_KEY"
DEFAULT_PROXY = "http://127.0.0.1:8000"
_PATIENCE = timedelta(seconds=10)


class RefusedByProxy(TrainServeError):
    """The proxy will not do it, in its words."""


class ParametersClient:
    """One proxy, asked with one key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    @classmethod
    def from_environment(cls, url: str | None = None) -> "ParametersClient":
        """The proxy at this address, else the one that `TRAINSERVE_PROXY` names; the key is `TRAINSERVE_API_KEY`."""
        return cls(url or os.environ.get(PROXY) or DEFAULT_PROXY, os.environ.get(KEY) or None)

    def get(self, use_case: str) -> Parameters:
        """What is in force. Raises Unavailable, RefusedByProxy."""
        return self._asked("GET", use_case, None, {})

    def put(self, use_case: str, version: int, change: Change) -> Parameters:
        """Change this version; returns the next. Raises Conflict, InvalidInput, RefusedByProxy, Unavailable."""
        body = msgspec.json.encode(change)
        return self._asked("PUT", use_case, body, {"if-match": f'"{version}"', "content-type": "application/json"})

    def _asked(self, method: str, use_case: str, body: bytes | None, headers: dict[str, str]) -> Parameters:
        from pyreqwest.client import SyncClientBuilder
        from pyreqwest.exceptions import BuilderError, PyreqwestError

        try:
            with SyncClientBuilder().no_proxy().timeout(_PATIENCE).build() as client:
                request = client.request(method, f"{self.url}/parameters/{use_case}").headers({**self._headers, **headers})
                response = (request if body is None else request.body_bytes(body)).build().send()
                status, answer = response.status, bytes(response.bytes())
        except (BuilderError, ValueError) as error:
            raise SettingError("the proxy's address", self.url, "one as http://127.0.0.1:8000") from error
        except PyreqwestError as error:
            do = f"Is it up, and is its address right (--proxy, {PROXY})?"
            raise Unavailable(f"the proxy at {self.url}", "it cannot be reached", do) from error
        return _read(use_case, status, answer)


def _read(use_case: str, status: int, answer: bytes) -> Parameters:
    accepted: Any = Parameters if status == HTTPStatus.OK else ProblemDocument
    try:
        found = msgspec.json.decode(answer, type=accepted)
    except msgspec.MsgspecError as error:
        raise Unavailable("the proxy", f"status {status}, and an answer that cannot be read ({error})") from error
    if isinstance(found, Parameters):
        return found
    if found.problems:
        raise InvalidInput(found.problems)
    if status == HTTPStatus.PRECONDITION_FAILED:
        raise Conflict(f"parameters of {use_case!r}", "the version that was read", found.detail)
    raise RefusedByProxy(found.detail)
