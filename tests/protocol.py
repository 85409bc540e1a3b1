"""The Open Inference Protocol as somebody else would write it: requests with binary tensors, and outputs of any kind."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from tests.scenario import parcel_schema

JSON_LENGTH = "inference-header-content-length"

_FORMATS = {"FP64": "d", "FP32": "f", "INT64": "q", "INT8": "b", "BOOL": "?"}
_DATATYPES = {"category": "BYTES", "timestamp": "BYTES", "boolean": "BOOL", "integer": "INT64", "number": "FP64"}


def packed(values: Sequence[Any], datatype: str) -> bytes:
    """Values as the bytes of a tensor."""
    if datatype == "BYTES":
        texts = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{_FORMATS[datatype]}", *values)


def binary_body(*rows: Mapping[str, Any], datatypes: Mapping[str, str] = {}, **members: Any) -> tuple[bytes, dict[str, str]]:
    """The rows with every tensor as bytes, but for one with nulls, which bytes cannot say: a body, and its header."""
    inputs, chunks = [], []
    for field in parcel_schema().fields:
        values = [row.get(field.name) for row in rows]
        if values == [None] * len(rows):
            continue
        datatype = datatypes.get(field.name, _DATATYPES[field.type])
        tensor: dict[str, Any] = {"name": field.name, "shape": [len(rows)], "datatype": datatype}
        if None in values:
            tensor["data"] = values
        else:
            chunks.append(packed(values, datatype))
            tensor["parameters"] = {"binary_data_size": len(chunks[-1])}
        inputs.append(tensor)
    text = msgspec.json.encode({"inputs": inputs, **members})
    return b"".join([text, *chunks]), {JSON_LENGTH: str(len(text))}


def outputs_of(answer: httpx.Response) -> dict[str, Any]:
    """The values of each output of an answer, as JSON or as bytes."""
    length = int(answer.headers.get(JSON_LENGTH, len(answer.content)))
    rest = answer.content[length:]
    outputs: dict[str, Any] = {}
    for output in msgspec.json.decode(answer.content[:length])["outputs"]:
        if "data" in output:
            outputs[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        chunk, rest = rest[:size], rest[size:]
        outputs[output["name"]] = _unpacked(chunk, output["datatype"])
    assert rest == b""
    return outputs


def _unpacked(chunk: bytes, datatype: str) -> list[Any]:
    if datatype == "FP64":
        return list(struct.unpack(f"<{len(chunk) // 8}d", chunk))
    texts = []
    while chunk:
        [length] = struct.unpack("<I", chunk[:4])
        texts.append(chunk[4 : 4 + length].decode())
        chunk = chunk[4 + length :]
    return texts
