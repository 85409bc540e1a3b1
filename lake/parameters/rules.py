"""The language of rules: conditions over a row's fields and the time of its arrival, and the effects of the first that holds.

Rules are tried in their order. The first whose condition holds fires, and no other; its effects happen in their order. A rule
without effects leaves the row to the model: so one that does harm is stopped without letting a later one reach its rows.
Beside the fields of the input schema a condition may name `@arrival` (the moment, UTC), `@hour` (0 to 23, UTC) and
`@weekday` (1, Monday, to 7). No comparison holds for a null; `missing` asks for it.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lake.documents import StrictDocument

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = bool | int | float | str

ARRIVAL, HOUR, WEEKDAY = "@arrival", "@hour", "@weekday"

RuleName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}\Z")]


class Compare(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="compare"):
    """The field stands so to the value."""

    field: str
    by: Operator
    value: Value


class OneOf(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="one of"):
    """The field has one of the values."""

    field: str
    values: tuple[Value, ...]


class Between(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="between"):
    """The field is within the range; both ends belong to it."""

    field: str
    low: Value
    high: Value


class Missing(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="missing"):
    """The field is null."""

    field: str


class All(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="all"):
    """All of them hold; of none, this is so for every row."""

    of: tuple["Condition", ...]


class Any(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="any"):
    """One of them holds at least."""

    of: tuple["Condition", ...]


class Not(StrictDocument, frozen=True, kw_only=True, tag_field="is", tag="not"):
    """It does not hold."""

    of: "Condition"


Leaf = Compare | OneOf | Between | Missing
Condition = Compare | OneOf | Between | Missing | All | Any | Not


class UseArm(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="use arm"):
    """The request goes to this arm: to that which the first of its rows asks for."""

    arm: str


class Refuse(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="refuse"):
    """The request is refused, whichever of its rows asks for that, with these words."""

    why: Annotated[str, Meta(min_length=1, max_length=500)]


class Answer(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="answer"):
    """The row is answered with these scores, in the model's place."""

    scores: tuple[float, ...]


class Shift(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="shift"):
    """The score is moved by so much; a probability stays one."""

    by: float


class Clip(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="clip"):
    """The score is brought within these limits."""

    low: float | None = None
    high: float | None = None


class Threshold(StrictDocument, frozen=True, kw_only=True, tag_field="do", tag="threshold"):
    """From this score on the decision is yes."""

    at: float


Effect = UseArm | Refuse | Answer | Shift | Clip | Threshold
# What gives an answer another meaning than the one that was approved.
MEANING = (Answer, Shift, Clip, Threshold)


class Rule(StrictDocument, frozen=True, kw_only=True):
    """A condition and what happens where it holds. Its name stands in each row that it answered."""

    name: RuleName
    when: Condition
    then: tuple[Effect, ...] = ()
    why: str = ""

    @property
    def changes_meaning(self) -> bool:
        """Whether it answers otherwise than the model does."""
        return any(isinstance(effect, MEANING) for effect in self.then)


def leaves(condition: Condition) -> Iterator[Leaf]:
    """The comparisons of a condition."""
    if isinstance(condition, All | Any):
        for one in condition.of:
            yield from leaves(one)
    elif isinstance(condition, Not):
        yield from leaves(condition.of)
    else:
        yield condition


def depth(condition: Condition) -> int:
    """How deep conditions are nested in it."""
    if isinstance(condition, All | Any):
        return 1 + max(map(depth, condition.of), default=0)
    return 1 + depth(condition.of) if isinstance(condition, Not) else 1


def described(effect: Effect) -> str:
    """An effect in words."""
    match effect:
        case UseArm():
            return f"use arm {effect.arm!r}"
        case Refuse():
            return "refuse"
        case Answer():
            return f"answer {list(effect.scores)}"
        case Shift():
            return f"shift the score by {effect.by:+g}"
        case Clip():
            low = "" if effect.low is None else f" at least {effect.low:g}"
            high = "" if effect.high is None else f" at most {effect.high:g}"
            return f"clip the score to{low}{' and' if low and high else ''}{high}"
        case Threshold():
            return f"decide yes from {effect.at:g}"


def same_reach(rule: Rule) -> bytes:
    """What two rules share that catch the same rows and do the same to them, whatever they are called."""
    return msgspec.msgpack.encode((rule.when, rule.then))
