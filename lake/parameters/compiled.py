"""Rules as functions: made once for each version of the parameters, called for each row, in microseconds."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from lake.input_schema import Field, InputSchema
from lake.parameters.checked_rules import PSEUDO_FIELDS, typed
from lake.parameters.rules import ARRIVAL, All, Between, Compare, Condition, Leaf, Missing, Not, OneOf, Rule
from lake.parameters.rules import Any as AnyOf

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
    """The rules of one version, tried in their order, by one function that is written for them."""

    def __init__(self, rules: Sequence[Rule], schema: InputSchema) -> None:
        self._rules = tuple(rules)
        self._number_of = _Source({**{field.name: field for field in schema.fields}, **PSEUDO_FIELDS}).function(self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def first(self, record: Any, arrival: Arrival) -> Rule | None:
        """The rule that fires for a record: the first whose condition holds."""
        number = self._number_of(record, arrival)
        return None if number is None else self._rules[number]


class _Source:
    """Python for conditions: names of fields, which are identifiers, and names of values, which stand beside it."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = fields
        self._values: dict[str, Any] = {}

    def function(self, rules: Sequence[Rule]) -> Callable[[Any, Arrival], int | None]:
        """The number of the first rule whose condition holds: twenty are tried in the time of five calls."""
        lines = [f"    if {self._of(rule.when)}: return {number}" for number, rule in enumerate(rules)]
        source = "\n".join(["def number_of(record, arrival):", *lines, "    return None"])
        exec(compile(source, "<rules>", "exec"), self._values)  # noqa: S102 - no word of it comes from outside
        found: Callable[[Any, Arrival], int | None] = self._values["number_of"]
        return found

    def _of(self, condition: Condition) -> str:
        match condition:
            case All():
                return f"({' and '.join(map(self._of, condition.of)) or 'True'})"
            case AnyOf():
                return f"({' or '.join(map(self._of, condition.of)) or 'False'})"
            case Not():
                return f"(not {self._of(condition.of)})"
            case _:
                return f"({self._leaf(condition, self._attribute(condition.field))})"

    def _leaf(self, condition: Leaf, attribute: str) -> str:
        field = self._fields[condition.field]
        match condition:
            case Missing():
                return f"{attribute} is None"
            case OneOf():
                return f"{attribute} in {self._value(frozenset(typed(field, value) for value in condition.values))}"
            case Between():
                low, high = self._value(typed(field, condition.low)), self._value(typed(field, condition.high))
                return f"(value := {attribute}) is not None and {low} <= value <= {high}"
            case Compare():
                by = "==" if condition.by == "=" else condition.by
                return f"(value := {attribute}) is not None and value {by} {self._value(typed(field, condition.value))}"

    def _attribute(self, name: str) -> str:
        if name in PSEUDO_FIELDS:
            return f"arrival.{PSEUDO_FIELDS[name].name if name != ARRIVAL else 'moment'}"
        return f"record.{self._fields[name].name}"

    def _value(self, value: Any) -> str:
        name = f"value_{len(self._values)}"
        self._values[name] = value
        return name
