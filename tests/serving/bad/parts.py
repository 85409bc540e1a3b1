"""What bad requests are made of, and the words that many refusals share."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tests.scenario import parcel, records_body, tensors_body
from tests.served import INFER, PREDICT

JSON_LENGTH = "inference-header-content-length"


class Bad(msgspec.Struct, frozen=True):
    """One bad request: its name, its body, the words of its refusal, and what else of it is not as usual."""

    name: str
    body: bytes
    said: str
    path: str = PREDICT
    status: int = 400
    headers: dict[str, str] = {}


def row(**changes: Any) -> bytes:
    return records_body(parcel(**changes))


def text(old: str, new: str) -> bytes:
    """A right body of records with a part of its text replaced."""
    body = records_body(parcel())
    assert old.encode() in body
    return body.replace(old.encode(), new.encode())


def tensors(*rows: Mapping[str, Any], **changes: Mapping[str, Any] | None) -> bytes:
    """A right request of tensors, but for these: members replaced, or None for a tensor that is left out."""
    request = msgspec.json.decode(tensors_body(*(rows or (parcel(),))))
    inputs = [
        {**one, **(changes.get(one["name"]) or {})} for one in request["inputs"] if changes.get(one["name"], {}) is not None
    ]
    return msgspec.json.encode({"inputs": inputs})


def request(**members: Any) -> bytes:
    return msgspec.json.encode({**msgspec.json.decode(tensors_body(parcel())), **members})


def binary(
    name: str, datatype: str, chunk: bytes, *, size: Any = None, tail: bytes = b"", **members: Any
) -> tuple[bytes, dict[str, str]]:
    """A right request of one row, but that this tensor is bytes behind the JSON; and the header that says so."""
    request = msgspec.json.decode(tensors_body(parcel()))
    for index, one in enumerate(request["inputs"]):
        if one["name"] == name:
            parameters = {"binary_data_size": len(chunk) if size is None else size}
            request["inputs"][index] = {"name": name, "shape": [1], "datatype": datatype, "parameters": parameters, **members}
    text = msgspec.json.encode(request)
    return text + chunk + tail, {JSON_LENGTH: str(len(text))}


def binary_bad(name: str, what: str, said: str, datatype: str, chunk: bytes, **members: Any) -> Bad:
    body, headers = binary(what, datatype, chunk, **members)
    return Bad(name, body, said, INFER, headers=headers)


NAMES = "['parcel_id', 'sent_at', 'depot', 'carrier', 'weight_kg', 'distance_km', 'stops', 'express']"
NUMBERS = "FP64 or FP32 or FP16 or INT64 or INT32 or INT16 or INT8 or UINT64 or UINT32 or UINT16 or UINT8"
INTEGERS = "INT64 or INT32 or INT16 or INT8 or UINT64 or UINT32 or UINT16 or UINT8"
KG = "a number within [0, 1000] (kg)"
KM = "a number (km), or null"
STOPS = "an integer within [0, 50], or null"
TIME = "a time with its offset, as 2013-07-01T09:30:00Z"
DEPOT = "one of 'north', 'south', 'harbour'"
ANY_TEXT = "text of at most 256 characters"
BOOLEAN = "true or false"
RECORDS = 'an object {"records": [{...}, ...]}'
PROTOCOL = 'an object {"inputs": [{"name": ..., "shape": ..., "datatype": ..., "data": ...}, ...]}'
ONCE = "found this member again, expected each member of an object once"
MANY_X = "'" + "x" * 76 + "..."
UNSUPPORTED = "no such parameter: this server has not that extension"
LENGTH = "the length of a text in four bytes, then the text"
OF_547 = "how many of the body's 547 bytes are JSON"
TENSOR = "name, shape, datatype, data, parameters"
SIZE = "parameters.binary_data_size"
MALFORMED = "malformed JSON: "
