"""A request for predictions, whichever way it came: over the lane, or routed by the framework."""

from collections.abc import Iterable
from typing import Any, Protocol

from litestar import Request
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from lake.interface.problems import too_large


class Asked(Protocol):
    """Its headers by their names in lower case, and what is learnt of it, for the access log: `client_id`, `request_id`."""

    headers: dict[str, str]
    known: dict[str, Any]

    async def read(self) -> bytes:
        """The whole body. Raises Refused where it is too large."""
        ...


class Routed:
    """A request that the framework has routed. Its body is not read before that is asked for."""

    __slots__ = ("_request", "headers", "known")

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.headers = headers_of(request.scope["headers"])
        self.known: dict[str, Any] = request.scope["state"]
        self._request = request

    async def read(self) -> bytes:
        """The whole body. Raises Refused where it is too large."""
        try:
            return await self._request.body()
        except RequestEntityTooLarge as error:
            raise too_large(self._request) from error


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by their names; those of one name are one, with commas between, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in raw:
        key = name.decode("latin-1")
        found[key] = f"{found[key]},{value.decode('latin-1')}" if key in found else value.decode("latin-1")
    return found
