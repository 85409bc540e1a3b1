"""The bodies that a server reads, each a question, and those that it answers with: their media types."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import msgspec

from lake.decoder import Decoder, Rows
from lake.interface.messages import Encoded, InterfaceName
from lake.interface.problems import Refused
from lake.interface.reply import JSON, Reply
from lake.protocol import JSON_LENGTH_HEADER

_JSON = (JSON, "")
BYTES = "application/octet-stream"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks of a model, or of one version of it: a body that is read as its interface has it.

    `json_length` says where the JSON of a body with binary tensors ends.
    """

    interface: InterfaceName
    name: str
    body: bytes
    version: str | None = None
    json_length: str | None = None

    def rows(self, decoder: Decoder) -> Rows:
        """Its rows. Raises InvalidInput."""
        return decoder.records(self.body) if self.interface == "predict" else decoder.tensors(self.body, self.json_length)


def read_question(
    interface: InterfaceName, name: str, body: bytes, headers: Mapping[str, str], version: str | None = None
) -> Question:
    """The question of a request. Raises Refused for a body of another media type."""
    in_tensors = interface == "infer"
    check_media_type(headers, binary=in_tensors)
    json_length = headers.get(JSON_LENGTH_HEADER) if in_tensors else None
    return Question(interface=interface, name=name, body=body, version=version, json_length=json_length)


def check_media_type(headers: Mapping[str, str], *, binary: bool = False) -> None:
    """Refuse, with 415, a body that says of itself that it is no JSON; `binary` ones may hold tensors as bytes too.

    A page of another site can make a browser send forms and plain text, but no JSON: so those are refused as well,
    whatever they hold. What says nothing of itself is read as JSON.
    """
    found = headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in _JSON and not (binary and found == BYTES) and not found.endswith("+json"):
        expected = f"application/json{f' or {BYTES}' if binary else ''}"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The content-type is {found[:80]!r}, expected {expected}.")
    encoding = headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The content-encoding is {encoding[:80]!r}, expected none.")


def reply(answer: Encoded, headers: Mapping[str, str] = MappingProxyType({})) -> Reply:
    """An answer as a reply: JSON, or JSON with tensors behind it, as a header then says."""
    if not answer.tensors:
        return Reply(answer.text, headers)
    return Reply(answer.text + answer.tensors, {**headers, JSON_LENGTH_HEADER: str(len(answer.text))}, BYTES)
