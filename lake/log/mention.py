"""Whether bytes that nobody could decode mention an entity: the body of a refused request, or what a crash left of a record."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from lake.log.entity import NamedEntity

_pack = msgspec.msgpack.Encoder().encode


class Mention:
    """Looks for one entity.

    Bytes mention it that have its keyed hash, or every value of its key: as a word of its own, or as a record has it. So a
    body that only happens to have the same words is taken for one about the entity: too much rather than too little.
    `spellings` are those words, value by value.
    """

    def __init__(self, entity: NamedEntity) -> None:
        self._hash = entity.key_hash.encode()
        known = [name for name, value in entity.values.items() if value not in (None, "")]
        self.spellings = [tuple(dict.fromkeys(_spellings(entity.values[name]))) for name in known]
        self._values = [
            _pattern(words, _pack(name) + _pack(entity.values[name]), _pack(name) + _pack(entity.kept[name]))
            for name, words in zip(known, self.spellings, strict=True)
        ]

    def is_in(self, data: bytes) -> bool:
        """Whether these bytes mention it."""
        return self._hash in data or self.has_values(data)

    def has_values(self, data: bytes) -> bool:
        """Whether these bytes have every value of its key; never where none has any."""
        return bool(self._values) and all(pattern.search(data) for pattern in self._values)


def _pattern(words: Iterable[bytes], *packed: bytes) -> re.Pattern[bytes]:
    """One of these words, or one of these as they are."""
    whole, exact = (b"|".join(map(re.escape, choices)) for choices in (words, packed))
    return re.compile(rb"(?<![0-9A-Za-z_])(?:%b)(?![0-9A-Za-z_]|\.[0-9])|%b" % (whole, exact))


def _spellings(value: Any) -> Iterator[bytes]:
    """How a value may stand in a body."""
    if isinstance(value, str):
        yield value.encode()
        yield json.dumps(value, ensure_ascii=False)[1:-1].encode()
        yield json.dumps(value)[1:-1].encode()
        return
    yield json.dumps(value).encode()
    if isinstance(value, float) and value.is_integer():
        yield str(int(value)).encode()
