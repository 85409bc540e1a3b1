"""What is answered: JSON records, the Open Inference Protocol v2, and the metadata of a model."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from lake.decoder import TENSOR_TYPES
from lake.input_schema import InputSchema

REQUEST_ID_HEADER = "trainserve-request-id"
ROUTING_KEY_HEADER = "trainserve-routing-key"

InterfaceName = Literal["predict", "infer"]


class Liveness(msgspec.Struct, frozen=True):
    """`GET /health/live`: the process answers."""

    live: bool = True


class Provenance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who answered: stands in every answer, so that it can be checked against the ledger.

    `rules` are those of the operator's that fired for rows of it; `fixed` says that no model gave it.
    """

    request_id: str
    arm: str
    role: str
    release_seq: int
    package_digest: str
    engine: str
    rules: tuple[str, ...] = ()
    fixed: bool = False


class PredictedRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row's answer: `score` is a probability (binary) or a value (regression), `scores` one for each class.

    `decision` is what the operator's threshold makes of it, where there is one; `rule` is the operator's that fired.
    """

    score: float | None = None
    scores: list[float] | None = None
    decision: bool | None = None
    rule: str | None = None

    @property
    def values(self) -> list[float]:
        """The scores as the log keeps them; empty when the row was given none."""
        return (self.scores or []) if self.score is None else [self.score]


class PredictResponse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to JSON records."""

    model_name: str
    model_version: str
    predictions: list[PredictedRow]
    provenance: Provenance
    id: str | None = None


class OutputTensor(msgspec.Struct, frozen=True, kw_only=True):
    """One output column; a multiclass score has shape [rows, classes], row after row; a decision is a BOOL."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | bool]


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


class ServerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v2`."""

    name: str
    version: str
    extensions: list[str] = []


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /models/{name}`: what is served, on whose word, until when, and an example to try.

    `identity` is "signed" or "claimed", and `identity_note` says what that means; `notice` says that the release expires
    soon, or has. `engine` answers, and `engine_note` says why it is not the one that was approved.
    """

    name: str
    arm: str
    role: str
    model_version: str
    release_seq: int
    package_digest: str
    engine: str
    engine_note: str | None = None
    approver: str
    approvers: list[str] = []
    identity: str
    identity_note: str = ""
    released_at_utc: str
    expires_at_utc: str | None
    notice: str | None = None
    features: list[str]
    example: dict[str, Any]


def predict_response(
    scores: Sequence[list[float]], name: str, version: str, provenance: Provenance, client_id: str | None
) -> bytes:
    """The answer to JSON records, encoded."""
    rows = [PredictedRow(score=row[0]) if len(row) == 1 else PredictedRow(scores=row) for row in scores]
    return msgspec.json.encode(
        PredictResponse(model_name=name, model_version=version, predictions=rows, provenance=provenance, id=client_id)
    )


def infer_response(
    scores: Sequence[list[float]], name: str, version: str, provenance: Provenance, client_id: str | None
) -> bytes:
    """The answer in the Open Inference Protocol, encoded. Without a client's id it carries the request's."""
    width = len(scores[0])
    shape = [len(scores)] if width == 1 else [len(scores), width]
    output = OutputTensor(name="score", datatype="FP64", shape=shape, data=[value for row in scores for value in row])
    return msgspec.json.encode(
        InferResponse(
            model_name=name, model_version=version, id=client_id or provenance.request_id, parameters=provenance, outputs=[output]
        )
    )


_PREDICT = msgspec.json.Decoder(PredictResponse)
_INFER = msgspec.json.Decoder(InferResponse)


def read_response(interface: InterfaceName, body: bytes, rows: int) -> tuple[list[list[float]], Provenance]:
    """The scores of an answer, row by row, and who gave it.

    Raises msgspec.MsgspecError, also when it does not score each of the `rows` that were asked about.
    """
    if interface == "predict":
        predicted = _PREDICT.decode(body)
        scores, provenance = [row.values for row in predicted.predictions], predicted.provenance
    else:
        inferred = _INFER.decode(body)
        data, provenance = [value for output in inferred.outputs[:1] for value in output.data], inferred.parameters
        width = max(1, len(data) // rows)
        scores = [data[start : start + width] for start in range(0, len(data), width)]
    widths = {len(row) for row in scores}
    if len(scores) != rows or len(widths) != 1 or 0 in widths:
        raise msgspec.ValidationError(f"{len(scores)} scored rows, expected {rows}")
    return scores, provenance


def oip_metadata(schema: InputSchema, version: str, engine: str) -> OipModelMetadata:
    """What a client of the protocol needs to build a request."""
    inputs = [TensorMetadata(name=field.name, datatype=TENSOR_TYPES[field.type][0], shape=[-1]) for field in schema.fields]
    outputs = [TensorMetadata(name="score", datatype="FP64", shape=[-1, len(schema.classes)] if schema.classes else [-1])]
    return OipModelMetadata(name=schema.use_case, versions=[version], platform=engine, inputs=inputs, outputs=outputs)
