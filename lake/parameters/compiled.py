"""Rules as functions: made once for each version of the parameters, called for each row, in microseconds."""

import operator
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from lake.input_schema import Field, InputSchema
from lake.parameters.checked_rules import PSEUDO_FIELDS, typed
from lake.parameters.rules import ARRIVAL, HOUR, WEEKDAY, All, Between, Compare, Condition, Leaf, Missing, Not, OneOf, Rule
from lake.parameters.rules import Any as AnyOf

# A record of the input schema, and when it arrived.
Test = Callable[[Any, "Arrival"], bool]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_HOUR_US, _DAY_US = 3_600_000_000, 86_400_000_000


class Arrival:
    """When a request arrived, with its hour and weekday in UTC; computed where a rule asks for it."""

    __slots__ = ("_at_us",)

    def __init__(self, at_us: int) -> None:
        self._at_us = at_us

    @property
    def moment(self) -> datetime:
        """The moment."""
        return _EPOCH + timedelta(microseconds=self._at_us)

    @property
    def hour(self) -> int:
        """The hour of its day, 0 to 23."""
        return self._at_us // _HOUR_US % 24

    @property
    def weekday(self) -> int:
        """The day of its week, 1, Monday, to 7."""
        return (self._at_us // _DAY_US + 3) % 7 + 1  # the epoch was a Thursday


class Rules:
    """The rules of one version, tried in their order."""

    def __init__(self, rules: Sequence[Rule], schema: InputSchema) -> None:
        fields = {**{field.name: field for field in schema.fields}, **PSEUDO_FIELDS}
        self._tests = [(_test(rule.when, fields), rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._tests)

    def first(self, record: Any, arrival: Arrival) -> Rule | None:
        """The rule that fires for a record: the first whose condition holds."""
        for holds, rule in self._tests:
            if holds(record, arrival):
                return rule
        return None


def _test(condition: Condition, fields: dict[str, Field]) -> Test:
    if isinstance(condition, All | AnyOf):
        tests = [_test(one, fields) for one in condition.of]
        return _all(tests) if isinstance(condition, All) else _any(tests)
    if isinstance(condition, Not):
        holds = _test(condition.of, fields)
        return lambda record, arrival: not holds(record, arrival)
    return _leaf(condition, fields[condition.field])


def _leaf(condition: Leaf, field: Field) -> Test:
    attribute = {ARRIVAL: "moment", HOUR: "hour", WEEKDAY: "weekday"}.get(condition.field)
    test = _of(condition, field, operator.attrgetter(attribute or condition.field))
    return test if attribute is None else lambda _record, arrival: test(arrival, arrival)


def _of(condition: Leaf, field: Field, get: Callable[[Any], Any]) -> Test:
    """The comparison of an attribute of the first argument: each is one call, without another inside."""
    match condition:
        case Missing():
            return lambda record, _: get(record) is None
        case OneOf():
            values = frozenset(typed(field, value) for value in condition.values)
            return lambda record, _: get(record) in values
        case Between():
            low, high = typed(field, condition.low), typed(field, condition.high)
            return lambda record, _: (value := get(record)) is not None and low <= value <= high
        case Compare():
            return _compare(condition.by, typed(field, condition.value), get)


def _compare(by: str, limit: Any, get: Callable[[Any], Any]) -> Test:
    tests: dict[str, Test] = {
        "=": lambda record, _: get(record) == limit,
        "!=": lambda record, _: (value := get(record)) is not None and value != limit,
        "<": lambda record, _: (value := get(record)) is not None and value < limit,
        "<=": lambda record, _: (value := get(record)) is not None and value <= limit,
        ">": lambda record, _: (value := get(record)) is not None and value > limit,
        ">=": lambda record, _: (value := get(record)) is not None and value >= limit,
    }
    return tests[by]


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:  # noqa: PLR2004 - the usual number, without a loop
        one, other = tests
        return lambda record, arrival: one(record, arrival) and other(record, arrival)

    def every(record: Any, arrival: Arrival) -> bool:
        for holds in tests:  # noqa: SIM110 - a generator would cost as much as the test
            if not holds(record, arrival):
                return False
        return True

    return every


def _any(tests: list[Test]) -> Test:
    def some(record: Any, arrival: Arrival) -> bool:
        for holds in tests:  # noqa: SIM110 - a generator would cost as much as the test
            if holds(record, arrival):
                return True
        return False

    return some
