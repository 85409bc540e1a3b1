"""The routes by which operators read and change parameters while the proxy runs."""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import HttpMethod, MediaType, Request, Response, get, put, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody

from lake.interface.access import Access
from lake.interface.documentation import answer, problem
from lake.interface.problems import Refused
from lake.parameters import Parameters
from lake.parameters.explained import read_change
from proxy.change import Changes, Stale
from proxy.operation import Operation

ANYBODY = "anybody, as there is no credentials.yaml"
_LONGEST_TAG = 10
_PROBLEMS = {
    status: problem(description)
    for status, description in {
        400: "The parameters are wrong; every problem is named",
        401: "An API key is needed",
        403: "The API key may not change this, or it needs the signatures of approvers",
        404: "There is no such model",
        412: "The parameters have changed since they were read",
        428: "If-Match has to say which version is changed",
        503: "The lake is away, so nothing can be stored",
    }.items()
}


def parameter_routes(operation: Operation, changes: Changes, access: Access) -> list[HTTPRouteHandler]:
    """Read them, and change them by compare-and-set."""
    told = {200: answer(Parameters, "The parameters in force"), **_PROBLEMS}

    @get("/parameters/{name:str}", tags=["operation"], responses=told)
    async def parameters(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        """The parameters in force, with their version."""
        _who(access, request)
        return _answered(operation.parameters(name))

    @put("/parameters/{name:str}", tags=["operation"], responses=told)
    async def change(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Store the next version: all that an operator decides, and why. In force in every worker within a second.

        The header `If-Match` says which version is changed. A monitor's key can only lower shares and switch off.
        """
        by, only_lower = _who(access, request)
        version = _version(name, request.headers.get("if-match"), operation.parameters(name).version)
        wanted = read_change(body)
        return _answered(await asyncio.to_thread(changes.make, name, version, wanted, by, only_lower=only_lower))

    @route("/parameters/{name:str}", http_method=[HttpMethod.OPTIONS], status_code=204, include_in_schema=False)
    async def methods(name: FromPath[str]) -> Response[None]:
        """What may be done here: the framework would name the first alone."""
        del name
        return Response(None, status_code=204, headers={"allow": "GET, OPTIONS, PUT"})

    return [methods, parameters, change]  # in this order, else the framework has one of its own by then


def _who(access: Access, request: Request[Any, Any, Any]) -> tuple[str, bool]:
    """Whose key it is, and whether it may only lower. Raises Refused."""
    try:
        return access.client_id(request, "operator") or ANYBODY, False
    except Refused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        try:
            return access.client_id(request, "monitor") or ANYBODY, True
        except Refused:
            raise refused from None


def _version(use_case: str, if_match: str | None, found: int) -> int:
    """The version that `If-Match` names. Raises Refused: 428 without, 412 for what was never a version."""
    if if_match is None:
        raise Refused(HTTPStatus.PRECONDITION_REQUIRED, f'Say by If-Match which version is changed: it is "{found}" now.')
    tag = if_match.strip().removeprefix("W/").strip('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) <= _LONGEST_TAG):
        raise Stale(use_case, repr(if_match), found)
    return int(tag)


def _answered(document: Parameters) -> Response[bytes]:
    return Response(msgspec.json.encode(document), media_type=MediaType.JSON, headers={"etag": f'"{document.version}"'})
