"""A change as an operator hands it in: decoded by msgspec, and where that fails walked again, to name every problem."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from lake.errors import InvalidInput, Problem
from lake.misread import misread, wanted
from lake.parameters.document import Change

_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_LONGEST_SHOWN = 80


def read_change(body: bytes) -> Change:
    """The change in a body of JSON. Raises InvalidInput with every problem of its form."""
    try:
        return msgspec.json.decode(body, type=Change)
    except _MALFORMED as error:
        raise InvalidInput(_explained(body, error)) from error


def _explained(body: bytes, error: Exception) -> list[Problem]:
    try:
        raw = msgspec.json.decode(body)
        problems = list(_problems("", raw, Change))
    except _MALFORMED as malformed:
        return [Problem(path="body", found=misread(malformed), expected="JSON")]
    return problems or [Problem(path="body", found=str(error), expected="parameters, as docs/parameters.md lists them")]


def _problems(path: str, raw: Any, accepted: Any) -> Iterator[Problem]:
    """What is wrong with a value: of a struct, a list or a mapping what is wrong with each of its parts."""
    try:
        msgspec.convert(raw, accepted)
    except msgspec.ValidationError as error:
        parts = list(_parts(path, raw, accepted))
        yield from parts or [Problem(path=path or "body", found=_shown(raw), expected=wanted(error))]


def _parts(path: str, raw: Any, accepted: Any) -> Iterator[Problem]:
    struct = _struct(raw, accepted)
    arguments = [one for one in get_args(accepted) if one is not Ellipsis]
    if struct is not None and isinstance(raw, dict):
        yield from _members(path, raw, struct)
    elif isinstance(raw, list) and get_origin(accepted) is tuple and len(arguments) == 1:
        for index, one in enumerate(raw):
            yield from _problems(f"{path}[{index}]", one, arguments[0])
    elif isinstance(raw, dict) and get_origin(accepted) is dict:
        for name, one in raw.items():
            yield from _problems(_below(path, name), one, arguments[1])


def _members(path: str, raw: dict[str, Any], struct: type[msgspec.Struct]) -> Iterator[Problem]:
    fields: dict[str, FieldInfo] = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    tag = struct.__struct_config__.tag_field
    for name, value in raw.items():
        if name in fields:
            yield from _problems(_below(path, name), value, fields[name].type)
        elif name != tag:
            yield Problem(path=_below(path, name), found="an unknown member", expected=f"one of {sorted(fields)}")
    for name, field in fields.items():
        if field.required and name not in raw:
            yield Problem(path=_below(path, name), found="nothing", expected="a value")


def _struct(raw: Any, accepted: Any) -> type[msgspec.Struct] | None:
    """The struct that a value is to be: of several the one whose tag it carries."""
    options = get_args(accepted) if get_origin(accepted) in (Union, UnionType) else (accepted,)
    structs = [one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    if len(structs) == 1:
        return structs[0]
    tagged = {one.__struct_config__.tag: one for one in structs}
    return tagged.get(raw.get(structs[0].__struct_config__.tag_field)) if structs and isinstance(raw, dict) else None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
