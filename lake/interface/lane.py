"""The lane that requests for predictions take: what is asked all day long is neither routed nor wrapped by the framework.

What a framework does for a request, from the parser to the handler and back, costs more than the prediction. So a connection
gives a request that is known by its path, and small, straight to the function that the handlers ask. The handlers stand in the
application as all others do, and are documented there; whatever the lane does not know, as a path that ends with a slash or a
body in chunks, comes to them.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import msgspec
from litestar import Litestar

from lake.interface.asked import Asked, headers_of
from lake.interface.bundle import BUNDLE_PATH
from lake.interface.messages import InterfaceName
from lake.interface.problems import problem_reply
from lake.interface.reply import Reply

# The interface, the name of the model, the request, and which version of the model is asked.
Respond = Callable[[InterfaceName, str, Asked, str | None], Awaitable[Reply]]
RespondTo = Callable[[Asked], Awaitable[Reply]]

_LONGEST_BODY_BYTES = 64 * 1024
_PATHS = 64  # so many that were asked for last are known at a glance
_NAME = rb"([\w.~-]+)"
_PREDICTION = re.compile(rb"/models/%b/predict|/v2/models/%b(?:/versions/%b)?/infer" % (_NAME, _NAME, _NAME))
_BUNDLE = BUNDLE_PATH.encode()
_PLAIN_HOST = re.compile(r"[A-Za-z0-9.:-]*")


class _Unheard:
    """What would wake who waits for more of a request: on the lane nobody does."""

    def set(self) -> None:
        """Do nothing."""


class OnLane(msgspec.Struct, kw_only=True, gc=False):
    """A request on the lane, from its head on: what answers it, and how far it is.

    It has what a connection asks of uvicorn's cycle, in whose place it stands: the `body` that has come, and the flags.
    """

    path: str
    respond: RespondTo
    headers: dict[str, str]
    known: dict[str, Any] = {}
    body: bytes = b""
    more_body: bool = True
    keep_alive: bool = True
    disconnected: bool = False
    response_started: bool = False
    response_complete: bool = False

    message_event: ClassVar[_Unheard] = _Unheard()

    async def read(self) -> bytes:
        """The body, which came before anybody asks."""
        return self.body


class Lane:
    """Answers requests for predictions, and bundles of them where they are taken, of at most `longest_body` bytes."""

    def __init__(self, respond: Respond, longest_body: int, respond_to_bundle: RespondTo | None = None) -> None:
        self._respond = respond
        self._longest_body = min(longest_body, _LONGEST_BODY_BYTES)
        self._respond_to_bundle = respond_to_bundle
        self._responds_at = lru_cache(_PATHS)(self._find_at)

    def find(self, method: bytes, url: bytes, raw: Sequence[tuple[bytes, bytes]]) -> OnLane | None:
        """The request that has this head; None for one that does not go over the lane."""
        respond = self._responds_at(url) if method == b"POST" else None
        if respond is None or not self._takes(headers := headers_of(raw)):
            return None
        return OnLane(path=url.decode(), headers=headers, respond=respond)

    async def answer(self, asked: OnLane) -> Reply:
        """The answer, whatever comes of it."""
        try:
            return await asked.respond(asked)
        except Exception as error:  # noqa: BLE001 - the edge of this program, as the framework's own is
            return problem_reply(error, asked.path)

    def _find_at(self, url: bytes) -> RespondTo | None:
        if url == _BUNDLE:
            return self._respond_to_bundle
        found = _PREDICTION.fullmatch(url)
        if found is None:
            return None
        predicted, inferred, version = found.groups()
        interface: InterfaceName = "predict" if predicted else "infer"
        name, version = (predicted or inferred).decode(), None if version is None else version.decode()
        return lambda asked: self._respond(interface, name, asked, version)

    def _takes(self, headers: dict[str, str]) -> bool:
        """Whether it says how long it is, asks for nothing else, and names its host as nearly all do, or does not.

        Of any other host the framework has to say whether it is one.
        """
        length = headers.get("content-length", "")
        return (
            length.isdecimal()
            and int(length) <= self._longest_body
            and "expect" not in headers
            and "upgrade" not in headers
            and _PLAIN_HOST.fullmatch(headers.get("host", "")) is not None
        )


class WithLane(Litestar):
    """An application, and the lane past it."""

    def __init__(self, lane: Lane, **settings: Any) -> None:
        super().__init__(**settings)
        self.lane = lane
