"""Answers that the operator's rules have changed, or given in a model's place: who answered says so in them."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from lake.interface.messages import (
    InferResponse,
    InterfaceName,
    OutputTensor,
    PredictedRow,
    PredictResponse,
    Provenance,
)
from lake.parameters.effects import Ruled

NO_MODEL = "none"

_predict = msgspec.json.Decoder(PredictResponse)
_infer = msgspec.json.Decoder(InferResponse)


def with_rules(interface: InterfaceName, body: bytes, rows: Sequence[Ruled], rules: Sequence[str | None]) -> bytes:
    """A predictor's answer with these scores, row by row, and the rules that fired. Raises msgspec.MsgspecError."""
    if interface == "predict":
        answer = _predict.decode(body)
        by = replace(answer.provenance, rules=_names(rules))
        return msgspec.json.encode(replace(answer, predictions=_rows(rows, rules), provenance=by))
    inferred = _infer.decode(body)
    by = replace(inferred.parameters, rules=_names(rules))
    return msgspec.json.encode(replace(inferred, outputs=_tensors(rows), parameters=by))


def without_model(
    interface: InterfaceName,
    name: str,
    request_id: str,
    client_id: str | None,
    rows: Sequence[Ruled],
    rules: Sequence[str | None],
) -> bytes:
    """An answer that no model gave; it is marked as fixed."""
    by = Provenance(
        request_id=request_id,
        arm=NO_MODEL,
        role=NO_MODEL,
        release_seq=0,
        package_digest=NO_MODEL,
        engine=NO_MODEL,
        rules=_names(rules),
        fixed=True,
    )
    if interface == "predict":
        predictions = _rows(rows, rules)
        return msgspec.json.encode(
            PredictResponse(model_name=name, model_version=NO_MODEL, predictions=predictions, provenance=by, id=client_id)
        )
    return msgspec.json.encode(
        InferResponse(model_name=name, model_version=NO_MODEL, id=client_id or request_id, parameters=by, outputs=_tensors(rows))
    )


def _names(rules: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule for rule in rules if rule is not None))


def _rows(rows: Sequence[Ruled], rules: Sequence[str | None]) -> list[PredictedRow]:
    return [
        PredictedRow(score=row.scores[0], decision=row.decision, rule=rule)
        if len(row.scores) == 1
        else PredictedRow(scores=row.scores, decision=row.decision, rule=rule)
        for row, rule in zip(rows, rules, strict=True)
    ]


def _tensors(rows: Sequence[Ruled]) -> list[OutputTensor]:
    """The scores, and a tensor of decisions where every row has one: the use case has a threshold, or has none."""
    width = len(rows[0].scores)
    shape = [len(rows)] if width == 1 else [len(rows), width]
    scores = OutputTensor(name="score", datatype="FP64", shape=shape, data=[value for row in rows for value in row.scores])
    decisions = [row.decision for row in rows if row.decision is not None]
    if not decisions:
        return [scores]
    return [scores, OutputTensor(name="decision", datatype="BOOL", shape=[len(decisions)], data=list(decisions))]
