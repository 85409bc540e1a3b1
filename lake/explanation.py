"""Why a body was refused: walked again in Python, value by value, to name every problem with its path."""

import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import MAXYEAR, MINYEAR, datetime, timezone
from itertools import chain
from typing import Any

import msgspec

from lake.errors import Problem
from lake.input_schema import Field, InputSchema
from lake.misread import misread
from lake.protocol import BINARY_SIZE, LONGEST_ID
from lake.repetition import find_repeated

_LONGEST_SHOWN = 80
# Bytes that are not UTF-8, and nesting without end, are no MsgspecError.
MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_FIRST, _LAST = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)

_brief = reprlib.Repr()  # of megabytes of lists, only what is shown is written
_brief.maxlist = _brief.maxdict = _brief.maxlevel = 10
_brief.maxstring = _brief.maxlong = _brief.maxother = _LONGEST_SHOWN
_briefly = _brief.repr

_TEXT_ID = f"text of at most {LONGEST_ID} characters"
_TENSOR_MEMBERS = ("name", "shape", "datatype", "data", "parameters")
_INFER_MEMBERS = ("inputs", "outputs", "id", "parameters")


class Explainer:
    """Names what is wrong with rows of one input schema, in the order in which it stands there."""

    def __init__(self, schema: InputSchema, maximum_rows: int) -> None:
        self._fields = {field.name: field for field in schema.fields}
        self._types = {field.name: field.python_type() for field in schema.fields}
        self._names = str(list(self._fields))
        self._maximum_rows = maximum_rows

    def body_of_records(self, body: bytes, reason: Exception | None = None) -> Iterator[Problem]:
        """What is wrong with a body of records that was refused for this reason."""
        try:
            request = plain(body)
        except MALFORMED as error:
            yield not_json(body, error)
            return
        if not isinstance(request, dict) or not isinstance(request.get("records"), list):
            yield Problem(path="body", found=shown(request), expected='an object {"records": [{...}, ...]}')
            return
        yield from _or_else(chain(find_repeated(body, request), self._request_of_records(request)), "body", reason)

    def _request_of_records(self, request: dict[str, Any]) -> Iterator[Problem]:
        yield from _unknown_members("", request, ("records", "id"))
        yield from _id_problems(request)
        records = request["records"]
        if not 1 <= len(records) <= self._maximum_rows:
            yield self.too_many("records", len(records))
        for index, record in enumerate(records[: self._maximum_rows]):
            yield from self.record(f"records[{index}]", record)

    def body_of_tensors(self, body: bytes, reason: Exception) -> Iterator[Problem]:
        """What is wrong with the JSON of a request in the Open Inference Protocol, apart from its values."""
        try:
            request = plain(body)
        except MALFORMED as error:
            yield not_json(body, error)
            return
        if not isinstance(request, dict) or not isinstance(request.get("inputs"), list) or not request["inputs"]:
            expected = 'an object {"inputs": [{"name": ..., "shape": ..., "datatype": ..., "data": ...}, ...]}'
            yield Problem(path="body", found=shown(request), expected=expected)
            return
        yield from _or_else(chain(find_repeated(body, request), _request_of_tensors(request)), "body", reason)

    def rows(self, rows: Iterable[object], reason: Exception | None = None) -> Iterator[Problem]:
        """What is wrong with plain rows."""
        problems = (problem for index, row in enumerate(rows) for problem in self.record(f"rows[{index}]", row))
        return _or_else(problems, "rows", reason)

    def record(self, path: str, record: object) -> Iterator[Problem]:
        """What is wrong with one row."""
        if not isinstance(record, dict):
            yield Problem(path=path, found=shown(record), expected="an object with the fields of the input schema")
            return
        for name, value in record.items():
            field = self._fields.get(name)
            if field is None:
                yield Problem(
                    path=f"{path}.{str(name)[:_LONGEST_SHOWN]}", found="an unknown field", expected=f"one of {self._names}"
                )
            else:
                yield from self.value(f"{path}.{name}", value, field)
        for name, field in self._fields.items():
            if name not in record and not field.nullable:
                yield Problem(path=f"{path}.{name}", found="nothing", expected=field.expectation())

    def values(self, path: str, values: Iterable[object], field: Field) -> Iterator[Problem]:
        """What is wrong with the values of one column, some of which are."""
        for index, value in enumerate(values):
            yield from self.value(f"{path}[{index}]", value, field)

    def value(self, path: str, value: object, field: Field) -> Iterator[Problem]:
        """What is wrong with one value."""
        try:
            fits = is_kept(msgspec.convert(value, self._types[field.name]))
        except msgspec.ValidationError:
            fits = False
        if not fits:
            yield Problem(path=path, found=shown(value), expected=field.expectation())

    def too_many(self, path: str, rows: int) -> Problem:
        """That a request has no rows, or more than are answered at once."""
        return Problem(path=path, found=f"{rows} rows", expected=f"1 to {self._maximum_rows} rows")

    def unknown_input(self, path: str, name: str) -> Problem:
        """That no field has this name."""
        return Problem(path=path, found=shown(name), expected=f"one of {self._names}")


def _request_of_tensors(request: dict[str, Any]) -> Iterator[Problem]:
    yield from _unknown_members("", request, _INFER_MEMBERS)
    yield from _id_problems(request)
    yield from _parameter_problems("parameters", request)
    for index, tensor in enumerate(request["inputs"]):
        yield from _tensor_problems(f"inputs[{index}]", tensor)
    outputs = request.get("outputs")
    if not isinstance(outputs, list | None):
        yield Problem(path="outputs", found=shown(outputs), expected='a list of objects {"name": ...}')
        return
    for index, output in enumerate(outputs or ()):
        path = f"outputs[{index}]"
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            yield Problem(path=path, found=shown(output), expected='an object {"name": ...}')
            continue
        yield from _unknown_members(path, output, ("name", "parameters"))
        yield from _parameter_problems(f"{path}.parameters", output)


def _tensor_problems(path: str, tensor: object) -> Iterator[Problem]:
    if not isinstance(tensor, dict):
        yield Problem(path=path, found=shown(tensor), expected=f"an object with the members {', '.join(_TENSOR_MEMBERS)}")
        return
    yield from _unknown_members(path, tensor, _TENSOR_MEMBERS)
    for member in ("name", "datatype"):
        if not isinstance(tensor.get(member), str):
            yield Problem(path=f"{path}.{member}", found=_given(tensor, member), expected="text")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int for size in shape):
        yield Problem(path=f"{path}.shape", found=_given(tensor, "shape"), expected="a list of integers")
    if "data" not in tensor and not tensor.get("parameters"):
        yield Problem(path=f"{path}.data", found="nothing", expected=f"a list of values, or {BINARY_SIZE}")
    yield from _parameter_problems(f"{path}.parameters", tensor)


def _parameter_problems(path: str, of: dict[str, Any]) -> Iterator[Problem]:
    if not isinstance(of.get("parameters"), dict | None):
        yield Problem(path=path, found=shown(of["parameters"]), expected="an object")


def _id_problems(request: dict[str, Any]) -> Iterator[Problem]:
    given = request.get("id")
    if not isinstance(given, str | None) or (given is not None and len(given) > LONGEST_ID):
        yield Problem(path="id", found=shown(given), expected=_TEXT_ID)


def _unknown_members(path: str, given: dict[str, Any], known: Sequence[str]) -> Iterator[Problem]:
    for name in given:
        if name not in known:
            place = f"{path}.{name[:_LONGEST_SHOWN]}" if path else name[:_LONGEST_SHOWN]
            yield Problem(path=place, found="an unknown member", expected=", ".join(known))


def _given(members: dict[str, Any], name: str) -> str:
    return shown(members[name]) if name in members else "nothing"


def _or_else(problems: Iterable[Problem], path: str, reason: Exception | None) -> Iterator[Problem]:
    """These problems; where there are none, although something was refused, the reason in msgspec's words."""
    none = True
    for problem in problems:
        none = False
        yield problem
    if none and reason is not None:
        yield Problem(path=path, found=str(reason), expected="values that fit the input schema")


def is_kept(value: object) -> bool:
    """Whether a value of its type can be answered and logged: a number is finite, a time has a year in UTC too."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime) and value.year in (MINYEAR, MAXYEAR):
        return _FIRST <= value <= _LAST
    return True


def are_kept(times: Sequence[datetime | None]) -> bool:
    """Whether each of these times is kept."""
    try:
        return is_kept(min(times, default=None)) and is_kept(max(times, default=None))  # type: ignore[type-var]
    except TypeError:  # a null among others
        return are_kept([time for time in times if time is not None])


def plain(body: bytes | msgspec.Raw) -> Any:
    """The JSON in these bytes, where a number beyond all is infinite. Raises what MALFORMED names."""
    try:
        return msgspec.json.decode(body)
    except msgspec.ValidationError:
        try:
            found = json.loads(bytes(body))
            json.dumps(found, ensure_ascii=False).encode()  # it lets halves of surrogate pairs through
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from error
        return found


def not_json(body: bytes | msgspec.Raw, error: Exception, path: str = "body") -> Problem:
    """What of these bytes is no JSON."""
    match error:
        case _ if not bytes(body).strip():
            found = "nothing"
        case RecursionError():
            found = "more levels than can be read"
        case UnicodeDecodeError():
            found = "bytes that are not UTF-8"
        case _:
            found = misread(error)
    return Problem(path=path, found=found, expected="JSON")


def shown(value: object) -> str:
    """A value as a message shows it: JSON's words for null, true and false, and not too long."""
    if value is None or isinstance(value, bool):
        return msgspec.json.encode(value).decode()
    if isinstance(value, datetime):
        value = value.isoformat()
    text = repr(value[:_LONGEST_SHOWN]) if isinstance(value, str) else _briefly(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
