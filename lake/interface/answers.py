"""Answers by both interfaces, as the predictor writes them and the proxy reads them."""

from collections.abc import Sequence

import msgspec

from lake.input_schema import InputSchema
from lake.interface.inference import infer_response, read_infer_response
from lake.interface.messages import (
    Encoded,
    InterfaceName,
    Provenance,
    Scored,
    predict_response,
    read_predict_response,
)
from lake.protocol import Output


class GivenAnswer(msgspec.Struct, frozen=True):
    """An answer that was read: what was scored, by which version, and who says so."""

    scored: Scored
    version: str
    provenance: Provenance


def write_answer(
    interface: InterfaceName,
    given: GivenAnswer,
    client_id: str | None,
    outputs: Sequence[Output],
    schema: InputSchema,
) -> Encoded:
    """The answer to a request with this id of the client's, which wants these outputs."""
    if interface == "predict":
        return predict_response(given.scored, schema.use_case, given.version, given.provenance, client_id)
    return infer_response(given.scored, given.version, given.provenance, client_id, outputs, schema)


def read_answer(interface: InterfaceName, text: bytes, rows: int) -> GivenAnswer:
    """What stands in an answer in JSON.

    Raises msgspec.MsgspecError, also when it does not score each of the `rows` that were asked about.
    """
    if interface == "predict":
        predicted, scored = read_predict_response(text)
        given = GivenAnswer(scored, predicted.model_version, predicted.provenance)
    else:
        inferred, scored = read_infer_response(text)
        given = GivenAnswer(scored, inferred.model_version, inferred.parameters)
    widths = {len(row) for row in scored.scores}
    if len(scored.scores) != rows or len(widths) != 1 or 0 in widths:
        raise msgspec.ValidationError(f"{len(scored.scores)} scored rows, expected {rows}")
    return given


def read_response(interface: InterfaceName, text: bytes, rows: int) -> tuple[Sequence[list[float]], Provenance]:
    """The scores of an answer, row by row, and who gave it. Raises as `read_answer`."""
    given = read_answer(interface, text, rows)
    return given.scored.scores, given.provenance
