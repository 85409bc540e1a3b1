"""The routes by which operators read and change parameters while the proxy runs."""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import HttpMethod, MediaType, Request, Response, delete, get, put, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, RawBody

from lake.interface.access import Access
from lake.interface.documentation import answer, problem
from lake.interface.problems import Refused
from lake.parameters import Parameters
from lake.parameters.explained import read_change
from lake.parameters.held import HeldChange, TakenBack
from lake.workers import Worker
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
        503: "The lake is away, so nothing can be stored, and this does more than stop or lower",
    }.items()
}
_OPERATORS = {status: _PROBLEMS[status] for status in (401, 403, 404)}


def parameter_routes(operation: Operation, changes: Changes, access: Access) -> list[HTTPRouteHandler]:
    """Read them, and change them by compare-and-set."""
    told = {200: answer(Parameters, "The parameters in force"), **_PROBLEMS}
    held = {202: answer(HeldChange, "The lake is away: held on this machine, in force there, and stored when the lake is back")}

    @get("/parameters/{name:str}", tags=["operation"], responses=told)
    async def parameters(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        """The parameters in force, with their version."""
        _who(access, request)
        return _answered(operation.parameters(name))

    @put("/parameters/{name:str}", tags=["operation"], responses={**told, **held})
    async def change(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Store the next version: all that an operator decides, and why. In force in every worker within a second.

        The header `If-Match` says which version is changed. A monitor's key can only lower shares and switch off. While the
        lake is away, what only does that is held on this machine.
        """
        by, only_lower = _who(access, request)
        version = _version(name, request.headers.get("if-match"), operation.parameters(name).version)
        wanted = read_change(body)
        made = await asyncio.to_thread(changes.make, name, version, wanted, by, only_lower=only_lower)
        if isinstance(made, HeldChange):
            return Response(msgspec.json.encode(made), status_code=HTTPStatus.ACCEPTED, media_type=MediaType.JSON)
        return _answered(made)

    @get(
        "/parameters/{name:str}/workers",
        tags=["operation"],
        responses={200: answer(list[Worker], "The workers, each with what it goes by"), **_OPERATORS},
    )
    async def workers(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        """What each worker of this machine goes by: who has confirmed a change, or a stop."""
        _who(access, request)
        operation.parameters(name)
        found = await asyncio.to_thread(changes.workers)
        return Response(msgspec.json.encode(found), media_type=MediaType.JSON)

    @delete(
        "/parameters/{name:str}/held",
        tags=["operation"],
        status_code=200,
        responses={200: answer(TakenBack, "How many changes were held, and are no more"), **_OPERATORS},
    )
    async def take_back(
        name: FromPath[str], request: Request[Any, Any, Any], arm: FromQuery[str | None] = None
    ) -> Response[bytes]:
        """Take back what this machine holds as the lake was away: all of it, or what switches off one arm and nothing else."""
        access.client_id(request.headers, "operator")
        taken = await asyncio.to_thread(changes.take_back, name, arm)
        return Response(msgspec.json.encode(TakenBack(taken)), media_type=MediaType.JSON)

    @route("/parameters/{name:str}", http_method=[HttpMethod.OPTIONS], status_code=204, include_in_schema=False)
    async def methods(name: FromPath[str]) -> Response[None]:
        """What may be done here: the framework would name the first alone."""
        del name
        return Response(None, status_code=204, headers={"allow": "GET, OPTIONS, PUT"})

    return [methods, parameters, change, workers, take_back]  # in this order, else the framework has one of its own by then


def _who(access: Access, request: Request[Any, Any, Any]) -> tuple[str, bool]:
    """Whose key it is, and whether it may only lower. Raises Refused."""
    try:
        return access.client_id(request.headers, "operator") or ANYBODY, False
    except Refused as refused:
        if refused.status != HTTPStatus.FORBIDDEN:
            raise
        try:
            return access.client_id(request.headers, "monitor") or ANYBODY, True
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
