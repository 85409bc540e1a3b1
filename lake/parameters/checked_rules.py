"""Rules against the input schema: every name, type, value and effect that does not fit is named before they are stored."""

import math
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

import msgspec

from lake.errors import InvalidInput, Problem
from lake.input_schema import Field, InputSchema
from lake.parameters.document import Content
from lake.parameters.reserved import RESERVED
from lake.parameters.rules import (
    ARRIVAL,
    HOUR,
    WEEKDAY,
    Answer,
    Between,
    Clip,
    Compare,
    Condition,
    Leaf,
    Missing,
    OneOf,
    Refuse,
    Rule,
    Shift,
    Threshold,
    UseArm,
    depth,
    leaves,
)
from lake.times import utc

MOST_RULES = 100
MOST_COMPARISONS = 1_000
MOST_VALUES = 10_000
DEEPEST = 10
_LARGEST = 2**53 - 1  # beyond it JSON has no exact integers

PSEUDO_FIELDS = {
    ARRIVAL: Field(name="arrival", type="timestamp"),
    HOUR: Field(name="hour", type="integer", minimum=0, maximum=23),
    WEEKDAY: Field(name="weekday", type="integer", minimum=1, maximum=7),
}
_ORDERED = ("integer", "number", "timestamp")


def check_rules(document: Content, schema: InputSchema) -> None:
    """Raises InvalidInput with every problem of the rules, the threshold and the fixed answer."""
    problems = list(_Checked(document, schema).problems())
    if problems:
        raise InvalidInput(problems)


class _Checked:
    def __init__(self, document: Content, schema: InputSchema) -> None:
        self._document = document
        self._schema = schema
        self._fields = {**{field.name: field for field in schema.fields}, **PSEUDO_FIELDS}

    def problems(self) -> Iterator[Problem]:
        document, rules = self._document, self._document.rules
        if document.inactive_answer is not None:
            yield from self._scores("inactive_answer.scores", document.inactive_answer.scores)
        if document.threshold is not None:
            if self._schema.task != "binary":
                yield Problem(
                    path="threshold", found=f"a {self._schema.task} use case", expected="a binary one: it decides yes or no"
                )
            yield from self._score("threshold", document.threshold)
        if len(rules) > MOST_RULES:
            yield Problem(path="rules", found=f"{len(rules)} rules", expected=f"at most {MOST_RULES}")
        names = [rule.name for rule in rules]
        for index, rule in enumerate(rules):
            if names.index(rule.name) != index or rule.name in RESERVED:
                expected = f"a name of its own, none of {', '.join(RESERVED)}"
                yield Problem(path=f"rules[{index}].name", found=repr(rule.name), expected=expected)
            yield from self._rule(f"rules[{index}]", rule)

    def _rule(self, where: str, rule: Rule) -> Iterator[Problem]:
        deep, wide = depth(rule.when), sum(1 for _ in leaves(rule.when))
        if deep > DEEPEST:
            yield Problem(path=f"{where}.when", found=f"{deep} levels", expected=f"at most {DEEPEST}")
        if wide > MOST_COMPARISONS:
            yield Problem(path=f"{where}.when", found=f"{wide} comparisons", expected=f"at most {MOST_COMPARISONS}")
        for leaf in leaves(rule.when):
            yield from self._leaf(f"{where}.when", leaf)
        kinds = [type(effect) for effect in rule.then]
        if len(set(kinds)) < len(kinds) or ({Refuse, Answer}.intersection(kinds) and len(kinds) > 1):
            expected = "each kind of effect once, and beside refuse or answer no other"
            yield Problem(path=f"{where}.then", found=f"{len(kinds)} effects", expected=expected)
        for position, effect in enumerate(rule.then):
            yield from self._effect(f"{where}.then[{position}]", effect)

    def _leaf(self, where: str, leaf: Leaf) -> Iterator[Problem]:
        field = self._fields.get(leaf.field)
        if field is None:
            expected = f"one of {[*self._schema.names, *PSEUDO_FIELDS]}"
            yield Problem(path=f"{where}.field", found=repr(leaf.field), expected=expected)
            return
        path = f"{where}.{leaf.field}"
        match leaf:
            case Compare():
                yield from self._value(path, field, leaf.value)
                if leaf.by not in ("=", "!=") and field.type not in _ORDERED:
                    yield Problem(path=path, found=f"{leaf.by!r} of a {field.type}", expected="= or !=, since it has no order")
            case Between():
                yield from self._range(path, field, leaf)
            case OneOf():
                if not 1 <= len(leaf.values) <= MOST_VALUES:
                    yield Problem(path=path, found=f"{len(leaf.values)} values", expected=f"1 to {MOST_VALUES:,}")
                for value in leaf.values[:MOST_VALUES]:
                    yield from self._value(path, field, value)
            case Missing() if not field.nullable:
                yield Problem(path=path, found="a field that is never null", expected="one that may be null")

    def _range(self, path: str, field: Field, leaf: Between) -> Iterator[Problem]:
        yield from self._value(path, field, leaf.low)
        yield from self._value(path, field, leaf.high)
        if field.type not in _ORDERED:
            yield Problem(path=path, found=f"a range of a {field.type}", expected="a field that has an order")
        elif _is_empty(field, leaf):
            yield Problem(path=path, found=f"{leaf.low!r} to {leaf.high!r}", expected="a range whose low is not above its high")

    def _value(self, path: str, field: Field, value: Any) -> Iterator[Problem]:
        if not fits(field, value):
            yield Problem(path=path, found=repr(value), expected=_expected(field))

    def _effect(self, path: str, effect: object) -> Iterator[Problem]:
        match effect:
            case UseArm() if effect.arm not in self._document.arms:
                yield Problem(path=f"{path}.arm", found=repr(effect.arm), expected=f"one of {sorted(self._document.arms)}")
            case Answer():
                yield from self._scores(f"{path}.scores", effect.scores)
            case Shift():
                yield from self._single(path, "shift")
                most = 1 if self._schema.task == "binary" else _LARGEST
                if not abs(effect.by) <= most:
                    yield Problem(path=f"{path}.by", found=str(effect.by), expected=f"a number from {-most} to {most}")
            case Clip():
                yield from self._single(path, "clip")
                limits = [limit for limit in (effect.low, effect.high) if limit is not None]
                if not limits or not all(abs(limit) <= _LARGEST for limit in limits) or limits != sorted(limits):
                    found = f"low {effect.low}, high {effect.high}"
                    yield Problem(path=path, found=found, expected="low or high or both, low not above high")
                elif self._schema.task == "binary" and not all(0 <= limit <= 1 for limit in limits):
                    yield Problem(path=path, found=f"limits {limits}", expected="probabilities, from 0 to 1")
            case Threshold():
                if self._document.threshold is None:
                    expected = "threshold in the document too, so that every answer carries a decision"
                    yield Problem(path=path, found="a threshold in a rule alone", expected=expected)
                yield from self._score(f"{path}.at", effect.at)

    def _single(self, path: str, what: str) -> Iterator[Problem]:
        if self._schema.task == "multiclass":
            yield Problem(path=path, found=f"{what} of several scores", expected="a use case with one score for each row")

    def _scores(self, path: str, scores: Collection[float]) -> Iterator[Problem]:
        width = max(1, len(self._schema.classes)) if self._schema.task == "multiclass" else 1
        if len(scores) != width:
            yield Problem(path=path, found=f"{len(scores)} scores", expected=f"{width}, as the model gives")
        for score in scores:
            yield from self._score(path, score)
        if self._schema.task == "multiclass" and abs(math.fsum(scores) - 1) > 1e-6:  # noqa: PLR2004 - probabilities, rounded
            yield Problem(path=path, found=f"scores that add up to {math.fsum(scores):g}", expected="1: they are probabilities")

    def _score(self, path: str, score: float) -> Iterator[Problem]:
        if self._schema.task == "regression":
            if not abs(score) <= _LARGEST:
                yield Problem(path=path, found=str(score), expected="a number that JSON can say exactly")
        elif not 0 <= score <= 1:
            yield Problem(path=path, found=str(score), expected="a probability, from 0 to 1")


def fits(field: Field, value: Any) -> bool:
    """Whether a field can have this value, as a rule writes it: a moment as text, a limit beyond the field's range too."""
    match field.type:
        case "category":
            return isinstance(value, str) and (
                not field.categories or field.unknown_category == "flag" or value in field.categories
            )
        case "boolean":
            return isinstance(value, bool)
        case "timestamp":
            return isinstance(value, str) and _moment(value) is not None
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def typed(field: Field, value: Any) -> Any:
    """The value that a decoded row would have."""
    if field.type == "timestamp":
        return utc(value)
    return float(value) if field.type == "number" else value


def _is_empty(field: Field, leaf: Between) -> bool:
    return fits(field, leaf.low) and fits(field, leaf.high) and typed(field, leaf.low) > typed(field, leaf.high)


def _expected(field: Field) -> str:
    if field.type == "category" and field.unknown_category == "flag":
        return "text"
    plain = msgspec.structs.replace(field, minimum=None, maximum=None, nullable=False)
    return plain.expectation()


def _moment(text: str) -> datetime | None:
    try:
        return utc(text)
    except ValueError:
        return None


def fields_of(condition: Condition) -> set[str]:
    """The names of the fields that a condition asks for."""
    return {leaf.field for leaf in leaves(condition)}
