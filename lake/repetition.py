"""Members that stand twice in one JSON object: RFC 8259 leaves open which of them holds, so such a body is refused.

A parser keeps one of them and says nothing, so repetition is looked for in the text, by counting quotes: each member has two
for its name, and two more if it is text. A text has as many as what was decoded of it needs, unless it has members that were
not kept. Only where the counts differ is the text parsed once more, and only where they still do are members compared.
"""

import json
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from lake.errors import Problem
from lake.input_schema import InputSchema

_LONGEST_NAME = 80
_PAIR = 2
_LONG = 65_536

_encode = msgspec.json.Encoder().encode


class RecordQuotes:
    """How many quotes a body of records needs."""

    def __init__(self, schema: InputSchema) -> None:
        weights = {field.name: _PAIR * (1 + (field.type in ("category", "timestamp"))) for field in schema.fields}
        nullable = [field.name for field in schema.fields if field.nullable]
        self._row = sum(weights.values())
        self._nullable = [
            (weight, _reader(names))
            for weight in (_PAIR, 2 * _PAIR)
            if (names := [name for name in nullable if weights[name] == weight])
        ]
        # Of a record that it decodes, what is left out and what stands there as null are two.
        told = msgspec.defstruct("Told", [(name, Any, msgspec.UNSET) for name in nullable], gc=False)
        body = msgspec.defstruct("Body", [("records", list.__class_getitem__(told))])
        self._told_apart: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)

    def find_repeated(self, text: bytes, records: Sequence[Any], client_id: object) -> Sequence[Problem]:
        """The members that stand more than once, in the text that these records were decoded from."""
        quotes = _quotes(text)
        needed = _PAIR + len(records) * self._row + (_PAIR * 2 if isinstance(client_id, str) else 0)
        left_open = 0
        for weight, read in self._nullable:
            nulls = _count_of(None, records, read)
            left_open += nulls
            needed -= nulls * weight
        if quotes == needed:
            return ()
        if left_open and quotes > needed:  # some may stand there as null
            told = self._told_apart.decode(text).records
            left_out = sum(_count_of(msgspec.UNSET, told, read) for _, read in self._nullable)
            if quotes == needed + _PAIR * (left_open - left_out):
                return ()
        return _repeated(text)


def _reader(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a record to the values of these fields."""
    if len(names) == 1:
        single = attrgetter(names[0])
        return lambda record: (single(record),)
    return attrgetter(*names)


def _count_of(what: object, records: Sequence[Any], read: Callable[[Any], tuple[Any, ...]]) -> int:
    """How often it stands in these fields of the records: told by identity, which asks no number whether it is equal."""
    return len([value for values in map(read, records) for value in values if value is what])


def find_repeated(text: bytes, decoded: object) -> Sequence[Problem]:
    """The members that stand more than once in their object, in valid JSON from which this was decoded."""
    if (b"\\" not in text or b"\\u0022" not in text) and _count(text) == _count(_encode(decoded)):
        return ()
    return _repeated(text)


def _quotes(text: bytes) -> int:
    """The quotes around names and texts, without those within; -1 where that cannot be told at a glance."""
    if b"\\" not in text:
        return _count(text)
    return -1 if b"\\\\" in text else text.count(b'"') - text.count(b'\\"')


def _count(text: bytes) -> int:
    """The quotes in it: in a long text NumPy counts them several times faster."""
    if len(text) < _LONG:
        return text.count(b'"')
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord('"')))


class _Object(list[tuple[str, Any]]):
    """A JSON object as the pairs that stand in it."""


def _repeated(text: bytes) -> list[Problem]:
    try:
        document = json.loads(text, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    except RecursionError:
        return [Problem(path="body", found="more levels than can be read", expected="a few")]
    except ValueError:
        return []  # in what was left undecoded is something that is no JSON; it is refused for that
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
