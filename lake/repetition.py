"""Members that stand twice in one JSON object: RFC 8259 leaves open which of them holds, so such a body is refused.

A parser keeps one of them and says nothing, so repetition is looked for in the text. What was decoded, written again, has
as many quotes as the text, unless the text has members that were not kept. Only where the counts differ is the text parsed
once more, and only where they still do are members compared.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from lake.errors import Problem

_LONGEST_NAME = 80

_encode = msgspec.json.Encoder().encode


def find_repeated(text: bytes, decoded: object) -> Sequence[Problem]:
    """The members that stand more than once in their object, in valid JSON from which this was decoded."""
    if not _may_repeat(text, decoded):
        return ()
    # What was decoded by types has no nulls where a field was left open: now as it stands.
    try:
        if not _may_repeat(text, msgspec.json.decode(text)):
            return ()
        pairs = json.loads(text.decode(), object_pairs_hook=_Object, parse_int=str, parse_float=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()  # in what was left undecoded is something that is no JSON; it is refused for that
    except RecursionError:
        return [Problem(path="body", found="more levels than can be read", expected="a few")]
    return _repeated(pairs)


def _may_repeat(text: bytes, decoded: object) -> bool:
    """Whether a member may stand twice in this text, by what was decoded from it; no only where none does."""
    if b"\\" in text and b"\\u0022" in text:
        return True  # a quote that is spelled without one
    return text.count(b'"') != _encode(decoded).count(b'"')


class _Object(list[tuple[str, Any]]):
    """A JSON object as the pairs that stand in it."""


def _repeated(document: object) -> list[Problem]:
    problems = []
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        below: list[tuple[str, object]] = []
        if isinstance(value, _Object):
            seen: set[str] = set()
            for name, member in value:
                place = f"{path}.{name[:_LONGEST_NAME]}" if path else name[:_LONGEST_NAME]
                if name in seen:
                    problems.append(Problem(path=place, found="this member again", expected="each member of an object once"))
                seen.add(name)
                below.append((place, member))
        elif isinstance(value, list):
            below = [(f"{path}[{index}]", member) for index, member in enumerate(value)]
        waiting.extend(reversed(below))
    return problems
