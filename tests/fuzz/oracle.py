"""Which bodies are requests about parcels: written by hand from what is promised, without any part of the platform.

It says no more than yes or no. Slow and plain, so that it can be read.
"""

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

MOST_ROWS = 10_000
_INT64 = (-(2**63), 2**63 - 1)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII)

Check = Callable[[Any], bool]


class Invalid(Exception):
    """The body is no request."""


def records_are_valid(body: bytes) -> bool:
    """Whether this body of records has to be answered, and no other."""
    try:
        request = _json(body)
        _demand(isinstance(request, dict) and set(request) <= {"records", "id"})
        _demand(_is_id(request.get("id")))
        records = request.get("records")
        _demand(isinstance(records, list) and 1 <= len(records) <= MOST_ROWS)
        for record in records:
            _demand(isinstance(record, dict) and set(record) <= set(_FIELDS))
            for name, (check, nullable) in _FIELDS.items():
                value = record.get(name)
                _demand(check(value) if value is not None else nullable)
    except Invalid:
        return False
    return True


def tensors_are_valid(body: bytes, json_length: int | None = None) -> bool:
    """Whether this request of the protocol has to be answered, and no other."""
    try:
        if json_length is None:
            text, rest = body, b""
        else:
            _demand(1 <= json_length <= len(body))
            text, rest = body[:json_length], body[json_length:]
        request = _json(text)
        _demand(isinstance(request, dict) and set(request) <= {"inputs", "outputs", "id", "parameters"})
        _demand(_is_id(request.get("id")))
        _demand(_are_parameters(request, {"binary_data_output"}))
        _check_outputs(request.get("outputs"))
        inputs = request.get("inputs")
        _demand(isinstance(inputs, list) and len(inputs) > 0)
        _check_inputs(inputs, rest)
    except Invalid:
        return False
    return True


def _json(text: bytes) -> Any:
    """Strict JSON: UTF-8, every member once, no half surrogates, numbers that are numbers."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _demand(len({name for name, _ in pairs}) == len(pairs))
        return dict(pairs)

    def constant(_name: str) -> Any:
        raise Invalid

    def integer(digits: str) -> Any:
        return int(digits) if len(digits) < 400 else math.inf

    try:
        found = json.loads(text.decode(), object_pairs_hook=members, parse_constant=constant, parse_int=integer)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid from error
    return found


def _check_outputs(outputs: Any) -> None:
    _demand(isinstance(outputs, list | None))
    names = set()
    for output in outputs or ():
        _demand(isinstance(output, dict) and set(output) <= {"name", "parameters"})
        _demand(output.get("name") in ["score", "unknown_categories"] and output["name"] not in names)
        _demand(_are_parameters(output, {"binary_data"}))
        names.add(output["name"])


def _check_inputs(inputs: list[Any], rest: bytes) -> None:
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        _demand(isinstance(tensor, dict) and set(tensor) <= {"name", "shape", "datatype", "data", "parameters"})
        name, shape = tensor.get("name"), tensor.get("shape")
        _demand(isinstance(name, str) and name in _FIELDS and name not in columns)
        _demand(isinstance(tensor.get("datatype"), str) and tensor["datatype"] in _DATATYPES[name])
        _demand(isinstance(shape, list) and all(type(size) is int for size in shape))
        _demand(len(shape) in (1, 2) and 1 <= shape[0] <= MOST_ROWS and shape[1:] in ([], [1]))
        _demand(_are_parameters(tensor, set()))
        size = (tensor.get("parameters") or {}).get("binary_data_size", -1)
        if "binary_data_size" in (tensor.get("parameters") or {}):
            _demand("data" not in tensor and type(size) is int and 0 <= size <= len(rest))
            values, rest = _from_bytes(rest[:size], tensor.get("datatype"), shape[0]), rest[size:]
        else:
            values = _from_json(tensor.get("data"), tensor.get("datatype"), nested=len(shape) == 2)
        _demand(len(values) == shape[0])
        columns[name] = values
    _demand(rest == b"")
    _demand(len({len(values) for values in columns.values()}) == 1)
    for name, (check, nullable) in _FIELDS.items():
        _demand(name in columns or nullable)
        _demand(all(check(value) if value is not None else nullable for value in columns.get(name, ())))


def _from_json(data: Any, datatype: Any, *, nested: bool) -> list[Any]:
    _demand(isinstance(data, list))
    if nested and data and all(isinstance(value, list) and len(value) == 1 for value in data):
        data = [value[0] for value in data]
    return [None if value is None else _narrowed(value, datatype) for value in data]


def _narrowed(value: Any, datatype: Any) -> Any:
    if datatype in _INTEGERS:
        low, high = _INTEGERS[datatype]
        _demand(type(value) is int and low <= value <= high)
    elif datatype in ("FP16", "FP32"):
        _demand(type(value) in (int, float))
        form = "<e" if datatype == "FP16" else "<f"
        try:
            return struct.unpack(form, struct.pack(form, value))[0]
        except (OverflowError, struct.error) as error:
            raise Invalid from error
    return value


def _from_bytes(chunk: bytes, datatype: Any, rows: int) -> list[Any]:
    if datatype == "BYTES":
        texts = []
        while chunk:
            _demand(len(chunk) >= 4)
            [length] = struct.unpack("<I", chunk[:4])
            _demand(len(chunk) >= 4 + length)
            try:
                texts.append(chunk[4 : 4 + length].decode())
            except UnicodeDecodeError as error:
                raise Invalid from error
            chunk = chunk[4 + length :]
        return texts
    _demand(datatype in _FORMATS)
    form = f"<{rows}{_FORMATS[datatype]}"
    _demand(struct.calcsize(form) == len(chunk))
    values = list(struct.unpack(form, chunk))
    if datatype == "BOOL":
        _demand(set(values) <= {0, 1})
        return [bool(value) for value in values]
    return values


def _are_parameters(holder: dict[str, Any], flags: set[str]) -> bool:
    parameters = holder.get("parameters")
    if parameters is None:
        return True
    return (
        isinstance(parameters, dict)
        and all(isinstance(value, str | int | float | None) for value in parameters.values())
        and not any(value in (math.inf, -math.inf) for value in parameters.values())
        and not set(parameters) & {"shared_memory_region", "classification"}
        and all(isinstance(parameters[name], bool | None) for name in flags & set(parameters))
    )


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 256)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256


def _is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        number = float(value)
    except OverflowError:
        return False
    return math.isfinite(number) and low <= number <= high


def _is_integer(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _is_time(value: Any) -> bool:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    hours, minutes = int(found[10] or 0), int(found[11] or 0)
    if hours > 23 or minutes > 59:
        return False
    fraction = round(float(f"0.{found[7] or 0}") * 1_000_000)
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if found[9] == "-" else 1)
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc) + timedelta(microseconds=fraction)
        local -= offset
    except (ValueError, OverflowError):
        return False
    return True


_FIELDS: dict[str, tuple[Check, bool]] = {
    "parcel_id": (_is_text, False),
    "sent_at": (_is_time, False),
    "depot": (lambda value: value in ("north", "south", "harbour"), False),
    "carrier": (_is_text, True),
    "weight_kg": (lambda value: _is_number(value, 0, 1000), False),
    "distance_km": (_is_number, True),
    "stops": (lambda value: _is_integer(value, 0, 50), True),
    "express": (lambda value: isinstance(value, bool), False),
}
_INTEGERS = {f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
_INTEGERS |= {f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
_NUMBERS = {"FP64", "FP32", "FP16", *_INTEGERS}
_DATATYPES = {
    "parcel_id": {"BYTES"},
    "sent_at": {"BYTES"},
    "depot": {"BYTES"},
    "carrier": {"BYTES"},
    "weight_kg": _NUMBERS,
    "distance_km": _NUMBERS,
    "stops": set(_INTEGERS),
    "express": {"BOOL"},
}
_FORMATS = {
    "FP64": "d", "FP32": "f", "FP16": "e", "BOOL": "B",
    "INT64": "q", "INT32": "i", "INT16": "h", "INT8": "b", "UINT64": "Q", "UINT32": "I", "UINT16": "H", "UINT8": "B",
}  # fmt: skip


def _demand(holds: object) -> None:
    if not holds:
        raise Invalid
