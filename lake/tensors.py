"""Reads requests of the Open Inference Protocol: one tensor for each field, as JSON or as bytes behind the JSON.

The bytes of several tensors stand in the order of the inputs; each says by `binary_data_size` how many are its own.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec

from lake.columns import Column, Columns
from lake.errors import InvalidInput, Problem
from lake.explanation import MALFORMED, Explainer, are_kept, is_kept, not_json, plain, shown
from lake.input_schema import Field, InputSchema
from lake.protocol import (
    BINARY_SIZE,
    JSON_LENGTH_HEADER,
    TENSOR_TYPES,
    InferRequest,
    Output,
    Parameters,
    Tensor,
    output_names,
)
from lake.repetition import find_repeated

# What would have to be looked at, but is not there to look at: shared memory; and what an answer cannot have.
_UNSUPPORTED = ("shared_memory_region", "classification")


class Inference(msgspec.Struct, frozen=True):
    """A decoded request: its rows as columns, and what the answer is to hold."""

    columns: Columns
    outputs: tuple[Output, ...]
    id: str | None


class _Found:
    """The problems of a request, as they are found."""

    def __init__(self) -> None:
        self._problems: list[Iterable[Problem]] = []
        self._more = 0

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, path: str, found: str, expected: str) -> None:
        self._problems.append([Problem(path=path, found=found, expected=expected)])

    def add_all(self, problems: Iterable[Problem]) -> None:
        """Some problems, at least one."""
        self._problems.append(problems)

    def add_refusal(self, refused: InvalidInput) -> None:
        self._problems.append(refused.problems)
        self._more += refused.more

    def refusal(self) -> InvalidInput:
        return InvalidInput(chain.from_iterable(self._problems), self._more)


class TensorReader:
    """Reads the requests of one use case. Every refusal is an InvalidInput with all its problems."""

    def __init__(self, schema: InputSchema, explainer: Explainer, maximum_rows: int) -> None:
        self._fields = {field.name: field for field in schema.fields}
        self._accepted: dict[str, Any] = {field.name: list[field.python_type()] for field in schema.fields}  # type: ignore[misc]
        self._decoders = {name: msgspec.json.Decoder(accepted) for name, accepted in self._accepted.items()}
        self._explainer = explainer
        self._maximum_rows = maximum_rows
        self._outputs = output_names(schema)
        self._request = msgspec.json.Decoder(InferRequest)

    def read(self, body: bytes, json_length: str | None) -> Inference:
        """The request in a body; `json_length` says where its JSON ends, if bytes follow."""
        text, rest = _divided(body, json_length)
        try:
            request = self._request.decode(text)
        except MALFORMED as error:
            raise InvalidInput(self._explainer.body_of_tensors(text, error)) from error
        found = _Found()
        if repeated := find_repeated(text, request):
            found.add_all(repeated)
        outputs = self._wanted(request, found)
        rows = request.inputs[0].shape[0] if request.inputs[0].shape else 0
        if not 1 <= rows <= self._maximum_rows:
            found.add_all([self._explainer.too_many("inputs[0].shape", rows)])
            raise found.refusal()
        columns = self._columns(request, rest, rows, found)
        for name, field in self._fields.items():
            if name not in columns:
                columns[name] = [None] * rows
                if not field.nullable:
                    found.add("inputs", f"no input {name!r}", f"{name}: {field.expectation()}")
        if found:
            raise found.refusal()
        return Inference(Columns(columns, rows), outputs, request.id if isinstance(request.id, str) else None)

    def _columns(self, request: InferRequest, rest: bytes, rows: int, found: _Found) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        end = 0
        for index, tensor in enumerate(request.inputs):
            path = f"inputs[{index}]"
            try:
                size = _size(path, tensor)
            except InvalidInput as refused:
                found.add_refusal(refused)
                columns[tensor.name] = []
                continue
            chunk = None if size is None else rest[end : end + size]
            end += size or 0
            field = self._fields.get(tensor.name)
            if field is None:
                found.add_all([self._explainer.unknown_input(f"{path}.name", tensor.name)])
            elif tensor.name in columns:
                found.add(f"{path}.name", f"{tensor.name!r} again", "each input once")
            else:
                columns[tensor.name] = self._column(path, tensor, chunk, field, rows, found)
        if end != len(rest):
            found.add("body", f"{len(rest)} bytes behind the JSON", f"{end}, as the inputs say by {BINARY_SIZE}")
        return columns

    def _column(self, path: str, tensor: Tensor, chunk: bytes | None, field: Field, rows: int, found: _Found) -> Column:
        datatypes = TENSOR_TYPES[field.type]
        if tensor.datatype not in datatypes:
            found.add(f"{path}.datatype", shown(tensor.datatype), f"{' or '.join(datatypes)} for {field.name!r}")
        elif tensor.shape not in ((rows,), (rows, 1)):
            found.add(f"{path}.shape", shown(list(tensor.shape)), f"[{rows}] or [{rows}, 1]")
        else:
            try:
                values = self._json(path, tensor, field) if chunk is None else self._binary(path, tensor, chunk, field, rows)
            except InvalidInput as refused:
                found.add_refusal(refused)
                return []
            if len(values) != rows:
                found.add(f"{path}.data", f"{len(values)} values", f"{rows}, as its shape says")
            elif field.type == "timestamp" and isinstance(values, list) and not are_kept(values):
                found.add_all(self._explainer.values(f"{path}.data", values, field))
            return values
        return []

    def _json(self, path: str, tensor: Tensor, field: Field) -> list[Any]:
        """The values of a tensor in JSON, flat or, of a matrix with one column, nested."""
        if isinstance(tensor.data, msgspec.UnsetType):
            raise _refusal(f"{path}.data", "nothing", f"a list of values, or {BINARY_SIZE}")
        is_fields_own = tensor.datatype == TENSOR_TYPES[field.type][0]
        if is_fields_own:
            try:
                return self._decoders[field.name].decode(tensor.data)  # type: ignore[no-any-return]
            except MALFORMED:
                pass  # wrong, or nested
        try:
            values = plain(tensor.data)
        except MALFORMED as error:
            raise InvalidInput([not_json(tensor.data, error, f"{path}.data")]) from error
        if not isinstance(values, list):
            raise _refusal(f"{path}.data", shown(values), "a flat list of values")
        if len(tensor.shape) > 1 and all(isinstance(row, list) and len(row) == 1 for row in values):
            values = [value for (value,) in values]
        if not is_fields_own:
            from lake.arrays import narrowed

            values = narrowed(values, tensor.datatype, path)
        return self._fitting(path, values, field)

    def _binary(self, path: str, tensor: Tensor, chunk: bytes, field: Field, rows: int) -> Column:
        """The values of a tensor that are bytes behind the JSON."""
        from lake.arrays import numbers_of, texts_of, values_of

        if not isinstance(tensor.data, msgspec.UnsetType):
            raise _refusal(f"{path}.data", f"data beside {BINARY_SIZE}", "one of them")
        if tensor.datatype == "BYTES":
            texts, fit = texts_of(chunk, rows, field, path)
            return texts if fit else self._fitting(path, texts, field)
        array, fit = numbers_of(chunk, tensor.datatype, rows, field, path)
        if not fit:
            raise InvalidInput(self._explainer.values(f"{path}.data", values_of(array, field), field))
        return array

    def _fitting(self, path: str, values: list[Any], field: Field) -> list[Any]:
        """The values as the field has them."""
        try:
            fitting: list[Any] = msgspec.convert(values, self._accepted[field.name])
        except msgspec.ValidationError as error:
            raise InvalidInput(self._explainer.values(f"{path}.data", values, field)) from error
        if field.type == "number" and not all(map(is_kept, fitting)):
            raise InvalidInput(self._explainer.values(f"{path}.data", values, field))
        return fitting

    def _wanted(self, request: InferRequest, found: _Found) -> tuple[Output, ...]:
        """The outputs that the answer is to hold: all of them where none are named."""
        wanted: dict[str, Output] = {}
        try:
            binary = bool(_flag("parameters", request.parameters, "binary_data_output"))
            for index, output in enumerate(request.outputs or ()):
                path = f"outputs[{index}]"
                asked = _flag(f"{path}.parameters", output.parameters, "binary_data")
                if output.name not in self._outputs:
                    found.add(f"{path}.name", shown(output.name), f"one of {list(self._outputs)}")
                elif output.name in wanted:
                    found.add(f"{path}.name", f"{output.name!r} again", "each output once")
                wanted[output.name] = Output(output.name, binary if asked is None else asked)
        except InvalidInput as refused:
            found.add_refusal(refused)
            return ()
        return tuple(wanted.values()) or tuple(Output(name, binary) for name in self._outputs)


def _divided(body: bytes, json_length: str | None) -> tuple[bytes, bytes]:
    """The JSON of a body, and the bytes behind it."""
    if json_length is None:
        return body, b""
    if not json_length.isascii() or not json_length.isdigit() or not 1 <= int(json_length[:20]) <= len(body):
        expected = f"how many of the body's {len(body)} bytes are JSON"
        raise _refusal(JSON_LENGTH_HEADER, shown(json_length), expected)
    return body[: int(json_length)], body[int(json_length) :]


def _size(path: str, tensor: Tensor) -> int | None:
    """How many bytes behind the JSON are this tensor's; None for one in JSON."""
    if not isinstance(tensor.parameters, dict):
        return None
    _refuse_unsupported(f"{path}.parameters", tensor.parameters)
    if BINARY_SIZE not in tensor.parameters:
        return None
    size = tensor.parameters[BINARY_SIZE]
    if type(size) is not int or size < 0:
        raise _refusal(f"{path}.parameters.{BINARY_SIZE}", shown(size), "a number of bytes")
    return size


def _flag(path: str, parameters: Parameters, name: str) -> bool | None:
    """The flag of this name; None where it is not given."""
    if not isinstance(parameters, dict):
        return None
    _refuse_unsupported(path, parameters)
    flag = parameters.get(name)
    if not isinstance(flag, bool | None):
        raise _refusal(f"{path}.{name}", shown(flag), "true or false")
    return flag


def _refuse_unsupported(path: str, parameters: Mapping[str, Any]) -> None:
    """Other parameters that nobody here knows are left alone, as the protocol asks."""
    for name in _UNSUPPORTED:
        if name in parameters:
            expected = "no such parameter: this server has not that extension"
            raise _refusal(f"{path}.{name}", shown(parameters[name]), expected)


def _refusal(path: str, found: str, expected: str) -> InvalidInput:
    return InvalidInput([Problem(path=path, found=found, expected=expected)])
