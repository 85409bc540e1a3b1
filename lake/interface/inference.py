"""Answers in the Open Inference Protocol, version 2: outputs as JSON or as bytes behind it, and the metadata of a model."""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec

from lake.columns import ArrayScores
from lake.input_schema import InputSchema
from lake.interface.messages import Encoded, Provenance, Scored, Signature
from lake.protocol import BINARY_SIZE, DECISION, LABEL, SCORE, Output, protocol_version

EXTENSIONS = ("binary_tensor_data",)


class OutputTensor(msgspec.Struct, frozen=True, kw_only=True):
    """One output: its values row after row, or in its parameters how many bytes behind the JSON they are.

    `score` has shape [rows], or [rows, classes]; `label` is the class with the greatest; `unknown_categories` names, comma
    between them, the fields of a row whose category the model does not know; `decision` is what the operator's threshold
    makes of the score, and there, always in JSON, where every row has one.
    """

    name: str
    datatype: str
    shape: list[int]
    data: list[float | str | bool] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class InferResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer in the Open Inference Protocol; who answered stands in its parameters."""

    model_name: str
    model_version: str
    id: str
    parameters: Provenance
    outputs: list[OutputTensor]


class TensorMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor that a model takes or gives; -1 is any number of rows."""

    name: str
    datatype: str
    shape: list[int]


class OipModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v2/models/{name}`."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OipModelReadiness(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v2/models/{name}/ready`."""

    name: str
    ready: bool


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v2`."""

    name: str
    version: str
    extensions: tuple[str, ...] = EXTENSIONS


def infer_response(
    scored: Scored,
    version: str,
    provenance: Provenance,
    client_id: str | None,
    outputs: Sequence[Output],
    schema: InputSchema,
) -> Encoded:
    """The answer with these outputs, encoded. Without a client's id it carries the request's."""
    chunks: list[bytes] = []
    tensors = []
    for output in outputs:
        tensor = _tensor(output.name, scored, schema)
        if output.binary:
            chunk = _bytes_of(tensor.data)
            chunks.append(chunk)
            tensor = msgspec.structs.replace(tensor, data=msgspec.UNSET, parameters={BINARY_SIZE: len(chunk)})
        tensors.append(tensor)
    decisions = [decision for decision in scored.decisions if decision is not None]
    if decisions and len(decisions) == len(scored.scores):
        tensors.append(OutputTensor(name=DECISION, datatype="BOOL", shape=[len(decisions)], data=list(decisions)))
    text = msgspec.json.encode(
        InferResponse(
            model_name=schema.use_case,
            model_version=protocol_version(version),
            id=provenance.request_id if client_id is None else client_id,
            parameters=provenance,
            outputs=tensors,
        )
    )
    return Encoded(text, b"".join(chunks))


def _tensor(name: str, scored: Scored, schema: InputSchema) -> OutputTensor:
    scores = scored.scores
    rows = len(scores)
    if name == SCORE:
        width = len(scores[0])
        shape = [rows] if width == 1 else [rows, width]
        return OutputTensor(name=SCORE, datatype="FP64", shape=shape, data=[*_values(scores)])
    if name == LABEL:
        texts: list[float | str | bool] = [schema.classes[row.index(max(row))] for row in scores]
    else:
        texts = [""] * rows
        for row, fields in scored.unknown.items():
            texts[row] = ",".join(fields)
    return OutputTensor(name=name, datatype="BYTES", shape=[rows], data=texts)


def _values(scores: Sequence[list[float]]) -> Iterable[float]:
    return scores.values() if isinstance(scores, ArrayScores) else chain.from_iterable(scores)


def _bytes_of(values: Any) -> bytes:
    """Numbers as FP64, texts each behind its length, as the extension has them."""
    if isinstance(values[0], float):
        return struct.pack(f"<{len(values)}d", *values)
    framed = {value: _framed(value.encode()) for value in set(values)}
    if len(framed) == 1:
        return framed[values[0]] * len(values)
    return b"".join([framed[value] for value in values])


def _framed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "little") + text


_decode = msgspec.json.Decoder(InferResponse).decode


def read_infer_response(text: bytes) -> tuple[InferResponse, Scored]:
    """An answer in JSON, and what it scored. Raises msgspec.MsgspecError."""
    answer = _decode(text)
    outputs = {output.name: output for output in answer.outputs}
    score = outputs.get(SCORE)
    if score is None or not isinstance(score.data, list) or not score.shape or score.shape[0] < 1:
        raise msgspec.ValidationError(f"an answer without the output {SCORE!r} in JSON")
    data: list[Any] = score.data
    width = max(1, len(data) // score.shape[0])
    return answer, Scored([data[start : start + width] for start in range(0, len(data), width)])


def oip_metadata(signature: Signature, name: str, version: str, engine: str) -> OipModelMetadata:
    """What a client of the protocol needs to build a request."""
    return OipModelMetadata(
        name=name,
        versions=[protocol_version(version)],
        platform=engine,
        inputs=[TensorMetadata(name=one.name, datatype=one.datatype, shape=[-1]) for one in signature.inputs],
        outputs=[TensorMetadata(name=one.name, datatype=one.datatype, shape=one.shape) for one in signature.outputs],
    )
