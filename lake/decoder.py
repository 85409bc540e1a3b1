"""The one decoder of rows, generated from an input schema: JSON records and Open Inference Protocol tensors.

A body that is right is decoded by msgspec alone, in C, with types made once from the schema. Only a body that is
wrong is walked again in Python, to name every problem with its path.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any

import msgspec

from lake.errors import InvalidInput, Problem
from lake.input_schema import Field, InputSchema

MAXIMUM_ROWS = 10_000
_LONGEST_SHOWN = 80

# Bytes that are not UTF-8, and nesting without end, are no MsgspecError.
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# What the protocol calls the types of tensors, by the type of field that can take their values.
TENSOR_TYPES: dict[str, tuple[str, ...]] = {
    "category": ("BYTES",),
    "timestamp": ("BYTES",),
    "boolean": ("BOOL",),
    "integer": ("INT64", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8"),
    "number": ("FP64", "FP32", "INT64", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8"),
}


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column of a request in the Open Inference Protocol."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: msgspec.Raw
    parameters: dict[str, Any] = {}


class InferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request in the Open Inference Protocol, version 2: one tensor for each field."""

    inputs: Annotated[list[Tensor], msgspec.Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[dict[str, Any]] = []


class Rows(msgspec.Struct, frozen=True):
    """A decoded request: its rows as records of the schema, and the client's own id for it."""

    records: Sequence[Any]
    client_request_id: str | None


class Decoder:
    """Decodes and validates the rows of one use case. Every refusal is an InvalidInput with all its problems."""

    def __init__(self, schema: InputSchema, maximum_rows: int = MAXIMUM_ROWS) -> None:
        self.schema = schema
        self.maximum_rows = maximum_rows
        self.entity = schema.entity_reader()
        self._fields = {field.name: field for field in schema.fields}
        self._numbers = [field.name for field in schema.fields if field.type == "number"]
        self._types = {field.name: field.python_type() for field in schema.fields}
        required = [field for field in schema.fields if not field.nullable]
        nullable = [field for field in schema.fields if field.nullable]
        self._order = [field.name for field in (*required, *nullable)]
        self.record_type: type[msgspec.Struct] = msgspec.defstruct(
            "Record",
            [
                *((field.name, self._types[field.name]) for field in required),
                *((field.name, self._types[field.name], None) for field in nullable),
            ],
            frozen=True,
            forbid_unknown_fields=True,
            omit_defaults=True,  # the log keeps no null: what a row lacks and what it leaves open are one
            gc=False,
        )
        records = Annotated[list[self.record_type], msgspec.Meta(min_length=1, max_length=maximum_rows)]  # type: ignore[name-defined]
        request = msgspec.defstruct(
            "PredictRequest", [("records", records), ("id", str | None, None)], frozen=True, forbid_unknown_fields=True
        )
        self._records: msgspec.json.Decoder[Any] = msgspec.json.Decoder(request)
        self._infer = msgspec.json.Decoder(InferRequest)
        self._columns = {name: msgspec.json.Decoder(list[accepted]) for name, accepted in self._types.items()}  # type: ignore[valid-type]

    def records(self, body: bytes) -> Rows:
        """Decode `{"records": [{...}, ...], "id": "..."}`."""
        try:
            request = self._records.decode(body)
        except _MALFORMED as error:
            raise InvalidInput(self._explain_records(body, error)) from error
        return Rows(request.records, request.id)

    def tensors(self, body: bytes) -> Rows:
        """Decode an Open Inference Protocol request: one tensor of shape [rows] or [rows, 1] for each field."""
        try:
            request = self._infer.decode(body)
        except _MALFORMED as error:
            raise InvalidInput(
                [Problem(path="body", found=str(error), expected="an Open Inference Protocol v2 request")]
            ) from error
        problems: list[Problem] = []
        rows = self._row_count(request)
        columns: dict[str, list[Any]] = {}
        for index, tensor in enumerate(request.inputs):
            path = f"inputs[{index}]"
            field = self._fields.get(tensor.name)
            if field is None:
                problems.append(Problem(path=f"{path}.name", found=repr(tensor.name), expected=f"one of {list(self._fields)}"))
            elif tensor.name in columns:
                problems.append(Problem(path=f"{path}.name", found=f"{tensor.name!r} again", expected="each input once"))
            else:
                columns[tensor.name] = self._column(path, tensor, field, rows, problems)
        for name, field in self._fields.items():
            if name not in columns:
                if field.nullable:
                    columns[name] = [None] * rows
                else:
                    problems.append(Problem(path="inputs", found=f"no input {name!r}", expected=f"{name}: {field.expectation()}"))
        if problems:
            raise InvalidInput(problems)
        records = [self.record_type(*values) for values in zip(*(columns[name] for name in self._order), strict=True)]
        return Rows(records, request.id)

    def convert(self, rows: Iterable[dict[str, Any]]) -> list[Any]:
        """Records from plain rows, as batch scoring and parity checks have them, under the same rules, any number."""
        plain = list(rows)
        problems = [
            problem
            for index, row in enumerate(plain)
            for name in self._numbers
            if isinstance(value := row.get(name), float) and not math.isfinite(value)  # JSON cannot say these, a frame can
            for problem in [Problem(path=f"rows[{index}].{name}", found=str(value), expected=self._fields[name].expectation())]
        ]
        if problems:
            raise InvalidInput(problems)
        try:
            return msgspec.convert(plain, list[self.record_type])  # type: ignore[name-defined]
        except msgspec.ValidationError as error:
            found = [problem for index, row in enumerate(plain) for problem in self._explain_record(f"rows[{index}]", row)]
            raise InvalidInput(found or [Problem(path="rows", found=str(error), expected="rows of the schema")]) from error

    def _row_count(self, request: InferRequest) -> int:
        rows = request.inputs[0].shape[0] if request.inputs[0].shape else 0
        if not 1 <= rows <= self.maximum_rows:
            expected = f"1 to {self.maximum_rows} rows"
            raise InvalidInput([Problem(path="inputs[0].shape", found=f"{rows} rows", expected=expected)])
        return rows

    def _column(self, path: str, tensor: Tensor, field: Field, rows: int, problems: list[Problem]) -> list[Any]:
        filler = [None] * rows
        if tensor.datatype not in TENSOR_TYPES[field.type]:
            expected = " or ".join(TENSOR_TYPES[field.type])
            problems.append(
                Problem(path=f"{path}.datatype", found=repr(tensor.datatype), expected=f"{expected} for {field.name!r}")
            )
            return filler
        if tensor.shape not in ((rows,), (rows, 1)):
            problems.append(Problem(path=f"{path}.shape", found=str(list(tensor.shape)), expected=f"[{rows}] or [{rows}, 1]"))
            return filler
        try:
            values = self._columns[field.name].decode(tensor.data)
        except _MALFORMED as error:
            problems.extend(self._explain_column(path, tensor, field) or [_unexplained(f"{path}.data", error)])
            return filler
        if len(values) != rows:
            problems.append(Problem(path=f"{path}.data", found=f"{len(values)} values", expected=f"{rows}, as its shape says"))
            return filler
        return values

    def _explain_column(self, path: str, tensor: Tensor, field: Field) -> list[Problem]:
        try:
            values = msgspec.json.decode(tensor.data)
        except _MALFORMED as error:
            return [Problem(path=f"{path}.data", found=str(error), expected="JSON")]
        if not isinstance(values, list):
            return [Problem(path=f"{path}.data", found=_shown(values), expected="a flat list of values")]
        return [
            problem
            for index, value in enumerate(values)
            for problem in self._explain_value(f"{path}.data[{index}]", value, field)
        ]

    def _explain_records(self, body: bytes, reason: Exception) -> list[Problem]:
        try:
            request = msgspec.json.decode(body)
        except _MALFORMED as error:
            return [Problem(path="body", found=str(error), expected="JSON")]
        if not isinstance(request, dict) or not isinstance(request.get("records"), list):
            return [Problem(path="body", found=_shown(request), expected='an object {"records": [{...}, ...]}')]
        problems = [
            Problem(path=name, found="an unknown member", expected="records, id")
            for name in request
            if name not in ("records", "id")
        ]
        if not isinstance(request.get("id"), str | None):
            problems.append(Problem(path="id", found=_shown(request["id"]), expected="text"))
        records = request["records"]
        if not 1 <= len(records) <= self.maximum_rows:
            problems.append(Problem(path="records", found=f"{len(records)} rows", expected=f"1 to {self.maximum_rows} rows"))
            records = records[: self.maximum_rows]
        for index, record in enumerate(records):
            problems.extend(self._explain_record(f"records[{index}]", record))
        return problems or [_unexplained("body", reason)]

    def _explain_record(self, path: str, record: object) -> Iterable[Problem]:
        if not isinstance(record, dict):
            yield Problem(path=path, found=_shown(record), expected="an object with the fields of the input schema")
            return
        for name, value in record.items():
            field = self._fields.get(name)
            if field is None:
                yield Problem(path=f"{path}.{name}", found="an unknown field", expected=f"one of {list(self._fields)}")
            else:
                yield from self._explain_value(f"{path}.{name}", value, field)
        for name, field in self._fields.items():
            if name not in record and not field.nullable:
                yield Problem(path=f"{path}.{name}", found="nothing", expected=field.expectation())

    def _explain_value(self, path: str, value: object, field: Field) -> Iterable[Problem]:
        try:
            msgspec.convert(value, self._types[field.name])
        except msgspec.ValidationError:
            yield Problem(path=path, found=_shown(value), expected=field.expectation())


def event_times_us(schema: InputSchema, records: Sequence[Any], arrival_us: int) -> list[int]:
    """When each row happened, in microseconds since 1970 UTC: its time field, else its arrival."""
    if schema.event_time is None:
        return [arrival_us] * len(records)
    times = (getattr(record, schema.event_time) for record in records)
    return [arrival_us if time is None else epoch_us(time) for time in times]


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def epoch_us(time: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    elapsed = time - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds


def _unexplained(path: str, error: Exception) -> Problem:
    """What is refused although each value passes alone: in msgspec's words."""
    return Problem(path=path, found=str(error), expected="values that fit the input schema")


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode() if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
