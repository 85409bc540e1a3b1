"""Errors as answers: RFC 9457 problem documents, mapped once, here.

The member `error` repeats the detail, where clients of the Open Inference Protocol look for it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap

from lake.errors import Conflict, InvalidInput, NotFound, Problem, TrainServeError, Unavailable, VerificationError
from lake.interface.reply import Reply

MEDIA_TYPE = "application/problem+json"
_LONGEST_PATH = 200

log = structlog.get_logger(__name__)

# The first class that matches decides.
_STATUS: tuple[tuple[type[TrainServeError], HTTPStatus], ...] = (
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (VerificationError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457, with the problems of the input, how many more it has, and the request's id as further members."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    problems: tuple[Problem, ...] = ()
    more_problems: int = 0
    request_id: str | None = None


class Refused(TrainServeError):
    """A request that is answered with this status instead of a prediction, and when it may be sent again."""

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after_s: int | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(detail)


def problem_document(error: Exception, request_id: str | None = None) -> ProblemDocument:
    """The problem that answers an error. An error that nobody foresaw is a 500 without its inner words."""
    problems: tuple[Problem, ...] = ()
    more = 0
    if isinstance(error, InvalidInput):
        problems, more = error.problems, error.more
    if isinstance(error, HTTPException):
        status, detail = HTTPStatus(error.status_code), error.detail
        problems = _problems_of_body(error)
    elif isinstance(error, Refused):
        status, detail = error.status, str(error)
    elif isinstance(error, TrainServeError):
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        detail = str(error)
    else:
        status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "An error that was not foreseen; it is in the server's log."
    return ProblemDocument(
        title=status.phrase,
        status=int(status),
        detail=detail,
        error=detail,
        problems=problems,
        more_problems=more,
        request_id=request_id,
    )


def _problems_of_body(error: HTTPException) -> tuple[Problem, ...]:
    """What the framework found wrong in a typed body."""
    found = error.extra if isinstance(error.extra, list) else []
    return tuple(
        Problem(path=one.get("key") or "body", found=one.get("message", ""), expected="a body as the page /schema describes it")
        for one in found
        if isinstance(one, dict)
    )


def problem_reply(error: Exception, path: str, own_headers: Mapping[str, str] | None = None) -> Reply:
    """The problem that answers an error at this path, with headers of its own; one that nobody foresaw is logged."""
    if isinstance(error, RecursionError):  # what the framework's own decoder raises for a body like `[[[[...`
        error = Refused(HTTPStatus.BAD_REQUEST, "The body is nested too deeply.")
    elif not isinstance(error, TrainServeError | HTTPException):
        log.error("unforeseen error", path=path, exc_info=error)
    document = problem_document(error)
    headers = {**(own_headers or {}), **problem_headers(error)}
    return Reply(msgspec.json.encode(document), headers, MEDIA_TYPE, document.status)


def problem_headers(error: Exception) -> dict[str, str]:
    """What a client is told in headers: how to say who it is, or when to come back."""
    if not isinstance(error, Refused):
        return {}
    headers = {"www-authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    return headers if error.retry_after_s is None else {**headers, "retry-after": str(error.retry_after_s)}


def _unrouted(request: Request[Any, Any, Any], error: Exception) -> Refused | None:
    """What the framework says in two words alone: that it has no such path, or that the path has no such method."""
    if isinstance(error, NotFoundException) and error.detail == HTTPStatus.NOT_FOUND.phrase:
        return Refused(HTTPStatus.NOT_FOUND, f"Nothing is at {_path(request)}. The page /schema lists what is here.")
    if isinstance(error, MethodNotAllowedException):
        allowed = (error.headers or {}).get("allow", "another method")
        return Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{_path(request)} takes {allowed}, found {request.method}.")
    return None


def _path(request: Request[Any, Any, Any]) -> str:
    return repr(request.url.path[:_LONGEST_PATH])


def too_large(request: Request[Any, Any, Any]) -> Refused:
    """That the body of a request is larger than it may be."""
    limit = request.route_handler.resolve_request_max_body_size()
    detail = f"The body is larger than the {limit:,} bytes that one request may have: send fewer rows at once."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, RequestEntityTooLarge):
        error = too_large(request)
    headers = error.headers if isinstance(error, HTTPException) else None
    return problem_reply(_unrouted(request, error) or error, request.url.path, headers).response()


EXCEPTION_HANDLERS: ExceptionHandlersMap = {HTTPException: _handle, Exception: _handle}
