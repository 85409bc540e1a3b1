"""The lane that requests for predictions take: what is asked all day long is not routed by the framework.

To route a request, to gather the arguments of its handler and to make a response of what it gives cost more than the
prediction. The handlers stand in the application as all others do, and are documented there; a request that the lane does
not know, as one whose path ends with a slash, comes to them, and they ask the same function.
"""

import math
import re
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, cast

from litestar import Litestar, Request
from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.exceptions import InternalServerException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty, HTTPReceiveMessage, Receive, Scope, Send

from lake.interface.messages import InterfaceName
from lake.interface.problems import problem_of
from lake.interface.reply import JSON, Reply

# The interface, the name of the model, the request, and which version of the model is asked.
Respond = Callable[[InterfaceName, str, Request[Any, Any, Any], str | None], Awaitable[Reply]]

_PREDICTION = re.compile(r"/models/([^/]+)/predict|/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_PLAIN_HOST = re.compile(rb"[A-Za-z0-9.:-]*")


class FastLane(Litestar):
    """An application in which `respond` answers requests for predictions; whatever it raises is answered as elsewhere."""

    def __init__(self, respond: Respond, **settings: Any) -> None:
        super().__init__(**settings)
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]  # or those of a lifespan, which go on as they are
        """Answer a request, or have it routed."""
        may_take_it = scope["type"] == ScopeType.HTTP and scope["method"] == "POST" and not scope.get("root_path")
        found = _PREDICTION.fullmatch(scope["path"]) if may_take_it else None
        if found is None or not _has_plain_host(scope):
            await super().__call__(scope, receive, send)
            return
        predicted, inferred, version = found.groups()
        scope.setdefault("state", {})
        scope["route_handler"] = self.asgi_router.handle_routing(scope["path"], "POST")[1]  # its limit on bodies holds
        request = _Request(scope, receive, send)
        try:
            reply = await self._respond("predict" if predicted else "infer", predicted or inferred, request, version)
        except Exception as error:  # noqa: BLE001 - the edge of this program, as the framework's own is
            problem = problem_of(request, error)
            reply = Reply(problem.content, problem.headers, problem.media_type or JSON, problem.status_code or 500)
        await _send(reply, send)


class _Request(Request[Any, Any, Any]):
    """A request whose headers are asked for often, and whose body is wanted as a whole: it is not read as a stream."""

    @cached_property
    def headers(self) -> Headers:
        """The headers."""
        return Headers.from_scope(self.scope)

    async def body(self) -> bytes:
        """The body. Raises RequestEntityTooLarge, InternalServerException where the client has gone."""
        if self._body is not Empty:
            return self._body
        most = self.route_handler.resolve_request_max_body_size() or math.inf
        if (self.content_length or 0) > most:
            raise RequestEntityTooLarge
        pieces, size, going_on = list[bytes](), 0, True
        while going_on:
            message = cast("HTTPReceiveMessage", await self.receive())
            if message["type"] == "http.disconnect":
                raise InternalServerException("client disconnected prematurely")
            pieces.append(message["body"])
            size += len(message["body"])
            if size > most:
                raise RequestEntityTooLarge
            going_on = message["more_body"]
        self._body = body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return body


def _has_plain_host(scope: Scope) -> bool:
    """Whether it names its host as nearly all do, or does not; of any other the framework has to say whether it is one."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return _PLAIN_HOST.fullmatch(host) is not None


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers += [(b"content-type", reply.media_type.encode("latin-1")), (b"content-length", b"%d" % len(reply.content))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content, "more_body": False})
