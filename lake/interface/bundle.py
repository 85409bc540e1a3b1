"""Bundles: requests for predictions that a proxy sends to a predictor as one, and their responses in the same order.

What a request costs beside its prediction, on the way and at both ends, is then paid once for all of them. Each is answered
for itself, as if it had come alone: with a status and a body of its own.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from lake.errors import TrainServeError
from lake.interface.messages import InterfaceName

BUNDLE_PATH = "/bundle"
BUNDLE_MEDIA_TYPE = "application/msgpack"
MOST_REQUESTS, LARGEST_BODY_BYTES = 32, 8 * 1024  # of a bundle: it holds up another request for less than a millisecond

_PATHS: dict[InterfaceName, str] = {"predict": "/models/{}/predict", "infer": "/v2/models/{}/infer"}


class ModelRequest(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A body in JSON that one model is asked, in the trace that the client named."""

    interface: InterfaceName
    name: str
    request_id: str
    body: bytes
    trace_headers: dict[str, str] | None = None

    @property
    def path(self) -> str:
        """Where it goes alone."""
        return _PATHS[self.interface].format(self.name)


class ModelResponse(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a predictor sent, whole."""

    status: int
    body: bytes


_Member = TypeVar("_Member")

encode_bundle = msgspec.msgpack.Encoder().encode
_requests = msgspec.msgpack.Decoder(list[ModelRequest]).decode
_responses = msgspec.msgpack.Decoder(list[ModelResponse]).decode


class NotABundle(TrainServeError):
    """Bytes that are no bundle, or not the one that is needed."""


def read_requests(bundle: bytes) -> list[ModelRequest]:
    """The requests of a bundle. Raises NotABundle, also where there are too many, or one is too large."""
    requests = _read(_requests, bundle)
    if len(requests) > MOST_REQUESTS or any(len(one.body) > LARGEST_BODY_BYTES for one in requests):
        raise NotABundle(f"A bundle has at most {MOST_REQUESTS} requests, each with at most {LARGEST_BODY_BYTES:,} bytes.")
    return requests


def read_responses(bundle: bytes, requests: int) -> list[ModelResponse]:
    """The responses to so many requests. Raises NotABundle, also when there are not as many."""
    responses = _read(_responses, bundle)
    if len(responses) != requests:
        raise NotABundle(f"A bundle of {len(responses)} responses, expected {requests}.")
    return responses


def _read(decode: Callable[[bytes], list[_Member]], bundle: bytes) -> list[_Member]:
    try:
        return decode(bundle)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotABundle(f"The body is no bundle ({error}).") from error
