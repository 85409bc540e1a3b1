"""The words of the Open Inference Protocol, version 2: its datatypes, the JSON of a request, and the outputs of a model."""

from typing import Annotated

import msgspec

from lake.input_schema import InputSchema

# Where the binary tensor extension says how many bytes of a body are JSON; the rest are tensors.
JSON_LENGTH_HEADER = "inference-header-content-length"
BINARY_SIZE = "binary_data_size"

LONGEST_ID = 256

SCORE = "score"
LABEL = "label"
UNKNOWN_CATEGORIES = "unknown_categories"
DECISION = "decision"

INTEGERS = ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8")

# What the protocol calls the types of tensors, by the type of field that can take their values; the first is the field's own.
TENSOR_TYPES: dict[str, tuple[str, ...]] = {
    "category": ("BYTES",),
    "timestamp": ("BYTES",),
    "boolean": ("BOOL",),
    "integer": INTEGERS,
    "number": ("FP64", "FP32", "FP16", *INTEGERS),
}

# What is left out stays apart from what is null, so that a request can be written again as it came.
Parameters = dict[str, str | int | float | bool | None] | msgspec.UnsetType | None


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of a request."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: Parameters = msgspec.UNSET


class WantedOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An output that a request asks for."""

    name: str
    parameters: Parameters = msgspec.UNSET


class InferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON of a request: one tensor for each field."""

    inputs: Annotated[list[Tensor], msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(max_length=LONGEST_ID)] | msgspec.UnsetType | None = msgspec.UNSET
    parameters: Parameters = msgspec.UNSET
    outputs: list[WantedOutput] | msgspec.UnsetType | None = msgspec.UNSET


class Output(msgspec.Struct, frozen=True):
    """A tensor that the answer is to hold, and whether as bytes behind the JSON."""

    name: str
    binary: bool = False


def protocol_version(version: str) -> str:
    """A version as the protocol's paths have it: without the space, which clients would leave as it is."""
    return version.replace(" ", "-")


def output_names(schema: InputSchema) -> tuple[str, ...]:
    """The outputs of a model of this schema: the score first, the class that has the greatest, what was not known."""
    flags = any(field.type == "category" and field.unknown_category == "flag" for field in schema.fields)
    return (SCORE, *((LABEL,) if schema.classes else ()), *((UNKNOWN_CATEGORIES,) if flags else ()))
