"""One version of the parameters, made ready to be asked for each request: whose key it is, and which rule a row meets."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import xxhash

from lake.input_schema import InputSchema
from lake.parameters import Parameters
from lake.parameters.checked_rules import check_rules
from lake.parameters.compiled import Arrival, Rules
from lake.parameters.document import PLACES
from lake.parameters.rules import Rule
from lake.parameters.stored import keys_of

_BITS = 64


class Plan:
    """The parameters with their keys and rules. Raises InvalidInput for rules that the input schema does not allow.

    While the schema is not known there are no rules; then there is no row either.
    """

    def __init__(self, parameters: Parameters, schema: InputSchema | None = None) -> None:
        if schema is not None:
            check_rules(parameters, schema)
        self.parameters = parameters
        self.schema = schema
        self.rules = Rules(parameters.rules if schema is not None else (), schema) if schema is not None else None
        spans = sorted(
            (start, end, arm, rank) for arm, handed in keys_of(parameters).items() for start, end, rank in _ranked(handed)
        )
        self._starts = [start for start, *_ in spans]
        self._spans = spans

    def holder(self, key: str) -> tuple[str, int] | None:
        """Which challenger's arm has this key, and how many of its places come before: a smaller share keeps the first."""
        if not self._spans:
            return None
        place = (xxhash.xxh3_64_intdigest(f"{self.parameters.salt}:{key}".encode()) * PLACES) >> _BITS
        index = bisect_right(self._starts, place) - 1
        if index < 0:
            return None
        start, end, arm, rank = self._spans[index]
        return (arm, rank + place - start) if place < end else None

    def fired(self, records: Sequence[Any], arrived_at_us: int) -> list[Rule | None] | None:
        """The rule of each row, or None where there are none to try."""
        if not self.rules:
            return None
        arrival, first = Arrival(arrived_at_us), self.rules.first
        return [first(record, arrival) for record in records]


def _ranked(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Spans with the number of places that were handed out before each."""
    ranked, rank = [], 0
    for start, end in spans:
        ranked.append((start, end, rank))
        rank += end - start
    return ranked
