"""What is answered: JSON records, and the metadata of a model."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from lake.categories import Unknown
from lake.input_schema import FieldType

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

    `unknown_categories` are the fields whose category the model does not know, so that its score says less. `decision` is
    what the operator's threshold makes of the score, where there is one; `rule` is the operator's that fired.
    """

    score: float | None = None
    scores: list[float] | None = None
    unknown_categories: list[str] | None = None
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


class FieldSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field of a row: what a value of it may be, and the datatype of its tensor."""

    name: str
    type: FieldType
    datatype: str
    nullable: bool
    unit: str = ""
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    unknown_category: Literal["flag", "refuse"] | None = None


class OutputSignature(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output: its datatype, its shape, where -1 is any number of rows, and what it says."""

    name: str
    datatype: str
    shape: list[int]
    description: str
    classes: tuple[str, ...] = ()


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes and what it gives."""

    inputs: list[FieldSignature]
    outputs: list[OutputSignature]


class ModelMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /models/{name}`: what is served, on whose word, until when, and an example to try.

    `identity` is "signed" or "claimed", and `identity_note` says what that means; `notice` says that the release expires
    soon, or has. `engine` answers, and `engine_note` says why it is not the one that was approved. `features` are the fields
    that the model makes use of.
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
    signature: Signature
    example: dict[str, Any]


class Scored(msgspec.Struct, frozen=True):
    """What the rows of a request are answered: the scores of each, and the categories that the model does not know.

    Where the operator's threshold or rules had a say: for each row the decision, and the rule that fired.
    """

    scores: Sequence[list[float]]
    unknown: Unknown = {}
    decisions: Sequence[bool | None] = ()
    rules: Sequence[str | None] = ()


class Encoded(msgspec.Struct, frozen=True):
    """An answer as it is sent: its JSON, and the tensors that follow it as bytes, if any."""

    text: bytes
    tensors: bytes = b""


def predict_response(scored: Scored, name: str, version: str, provenance: Provenance, client_id: str | None) -> Encoded:
    """The answer to JSON records, encoded."""
    rows = [PredictedRow(score=row[0]) if len(row) == 1 else PredictedRow(scores=row) for row in scored.scores]
    for index, fields in scored.unknown.items():
        rows[index] = msgspec.structs.replace(rows[index], unknown_categories=list(fields))
    if scored.decisions or scored.rules:
        told = zip(rows, scored.decisions, scored.rules, strict=True)
        rows = [msgspec.structs.replace(row, decision=decision, rule=rule) for row, decision, rule in told]
    return Encoded(
        msgspec.json.encode(
            PredictResponse(model_name=name, model_version=version, predictions=rows, provenance=provenance, id=client_id)
        )
    )


_decode = msgspec.json.Decoder(PredictResponse).decode


def read_predict_response(body: bytes) -> tuple[PredictResponse, Scored]:
    """An answer to JSON records, and what it scored. Raises msgspec.MsgspecError."""
    answer = _decode(body)
    unknown = {index: row.unknown_categories for index, row in enumerate(answer.predictions) if row.unknown_categories}
    return answer, Scored([row.values for row in answer.predictions], unknown)
