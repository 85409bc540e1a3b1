"""Asks a proxy for its parameters, and to change them, as its API says."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from lake.errors import Conflict, InvalidInput, SettingError, TrainServeError, Unavailable
from lake.interface.problems import ProblemDocument
from lake.parameters.document import Change, Parameters
from lake.parameters.held import HeldChange, TakenBack
from lake.workers import Worker

PROXY, KEY = "TRAINSERVE_PROXY", "TRAINSERVE_API_KEY"
DEFAULT_PROXY = "http://127.0.0.1:8000"
_PATIENCE = timedelta(seconds=10)

Found = TypeVar("Found")


class RefusedByProxy(TrainServeError):
    """The proxy will not do it, in its words."""


class ParametersClient:
    """One proxy, asked with one key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    @classmethod
    def from_environment(cls, url: str | None = None) -> "ParametersClient":
        """The proxy at this address, else the first that `TRAINSERVE_PROXY` names; the key is `TRAINSERVE_API_KEY`."""
        return cls.all_from_environment([] if url is None else [url])[0]

    @classmethod
    def all_from_environment(cls, urls: Sequence[str] = ()) -> "list[ParametersClient]":
        """The proxies at these addresses, else all that `TRAINSERVE_PROXY` names with commas between them."""
        named = [part.strip() for part in os.environ.get(PROXY, "").split(",") if part.strip()]
        return [cls(url, os.environ.get(KEY) or None) for url in urls or named or [DEFAULT_PROXY]]

    def get(self, use_case: str) -> Parameters:
        """What is in force. Raises Unavailable, RefusedByProxy."""
        return self._asked("GET", use_case, {HTTPStatus.OK: Parameters})

    def put(self, use_case: str, version: int, change: Change) -> Parameters | HeldChange:
        """Change this version; returns the next, or what that proxy's machine holds, as the lake is away.

        Raises Conflict, InvalidInput, RefusedByProxy, Unavailable.
        """
        headers = {"if-match": f'"{version}"', "content-type": "application/json"}
        accepted: dict[int, type[Parameters | HeldChange]] = {HTTPStatus.OK: Parameters, HTTPStatus.ACCEPTED: HeldChange}
        return self._asked("PUT", use_case, accepted, body=msgspec.json.encode(change), headers=headers)

    def workers(self, use_case: str) -> list[Worker]:
        """Every worker of that proxy's machine, with what it goes by. Raises Unavailable, RefusedByProxy."""
        return self._asked("GET", f"{use_case}/workers", {HTTPStatus.OK: list[Worker]})

    def take_back(self, use_case: str, arm: str | None = None) -> int:
        """Have that machine hold nothing more for the lake; returns how many changes it was. Raises as `workers`."""
        query = "" if arm is None else f"?{urlencode({'arm': arm})}"
        return self._asked("DELETE", f"{use_case}/held{query}", {HTTPStatus.OK: TakenBack}).taken_back

    def _asked(
        self,
        method: str,
        path: str,
        accepted: Mapping[int, type[Found]],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Found:
        from pyreqwest.client import SyncClientBuilder
        from pyreqwest.exceptions import BuilderError, PyreqwestError

        try:
            with SyncClientBuilder().no_proxy().timeout(_PATIENCE).build() as client:
                request = client.request(method, f"{self.url}/parameters/{path}").headers({**self._headers, **(headers or {})})
                response = (request if body is None else request.body_bytes(body)).build().send()
                status, answer = response.status, bytes(response.bytes())
        except (BuilderError, ValueError) as error:
            raise SettingError("the proxy's address", self.url, "one as http://127.0.0.1:8000") from error
        except PyreqwestError as error:
            do = f"Is it up, and is its address right (--proxy, {PROXY})?"
            raise Unavailable(f"the proxy at {self.url}", "it cannot be reached", do) from error
        try:
            if status in accepted:
                return msgspec.json.decode(answer, type=accepted[status])
            problem = msgspec.json.decode(answer, type=ProblemDocument)
        except msgspec.MsgspecError as error:
            raise Unavailable("the proxy", f"status {status}, and an answer that cannot be read ({error})") from error
        raise _refused(path, status, problem)


def _refused(path: str, status: int, found: ProblemDocument) -> TrainServeError:
    if found.problems:
        return InvalidInput(found.problems)
    if status == HTTPStatus.PRECONDITION_FAILED:
        return Conflict(f"parameters of {path!r}", "the version that was read", found.detail)
    return RefusedByProxy(found.detail)
