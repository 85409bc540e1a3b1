"""Rules as functions: made once for each version of the parameters, called for each row, in microseconds."""

import operator
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

from lake.input_schema import Field, InputSchema
from lake.parameters.checked_rules import PSEUDO_FIELDS, typed
from lake.parameters.rules import ARRIVAL, HOUR, All, Between, Compare, Condition, Leaf, Missing, Not, OneOf, Rule
from lake.parameters.rules import Any as AnyOf

# A record of the input schema, and when it arrived.
Test = Callable[[Any, "Arrival"], bool]
_BY: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Arrival:
    """When a request arrived, with its hour and weekday in UTC."""

    __slots__ = ("hour", "moment", "weekday")

    def __init__(self, at_us: int) -> None:
        seconds, microseconds = divmod(at_us, 1_000_000)
        self.moment = datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=microseconds)
        self.hour = self.moment.hour
        self.weekday = self.moment.isoweekday()


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
    match condition:
        case Missing():
            get = _getter(condition.field)
            return lambda record, arrival: get(record, arrival) is None
        case OneOf():
            return _one_of(condition, field)
        case Between():
            return _between(condition, field)
        case Compare():
            return _compare(condition, field)


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


def _one_of(condition: OneOf, field: Field) -> Test:
    get, values = _getter(condition.field), frozenset(typed(field, value) for value in condition.values)
    return lambda record, arrival: get(record, arrival) in values


def _between(condition: Between, field: Field) -> Test:
    get, low, high = _getter(condition.field), typed(field, condition.low), typed(field, condition.high)

    def within(record: Any, arrival: Arrival) -> bool:
        value = get(record, arrival)
        return value is not None and low <= value <= high

    return within


def _compare(condition: Compare, field: Field) -> Test:
    get, limit = _getter(condition.field), typed(field, condition.value)
    if condition.by == "=":
        return lambda record, arrival: get(record, arrival) == limit
    if condition.by == "!=":

        def other(record: Any, arrival: Arrival) -> bool:
            value = get(record, arrival)
            return value is not None and value != limit

        return other
    compare = _BY[condition.by]

    def stands(record: Any, arrival: Arrival) -> bool:
        value = get(record, arrival)
        return value is not None and compare(value, limit)

    return stands


def _getter(name: str) -> Callable[[Any, Arrival], Any]:
    if name in PSEUDO_FIELDS:
        of_arrival = operator.attrgetter({ARRIVAL: "moment", HOUR: "hour"}.get(name, "weekday"))
        return lambda _record, arrival: of_arrival(arrival)
    of_record = operator.attrgetter(name)
    return lambda record, _arrival: of_record(record)
