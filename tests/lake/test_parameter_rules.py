"""Rules: every one that does not fit the input schema is refused, and each that does says of any row what plain words say."""

from datetime import datetime, timedelta, timezone
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.decoder import Decoder, epoch_us
from lake.documents import canonical
from lake.errors import InvalidInput
from lake.input_schema import Field, InputSchema
from lake.parameters.checked_rules import PSEUDO_FIELDS, check_rules
from lake.parameters.compiled import Arrival, Rules
from lake.parameters.document import Arm, Content, Fixed
from lake.parameters.effects import answered_in_place, ruled
from lake.parameters.rules import (
    All,
    Answer,
    Between,
    Clip,
    Compare,
    Condition,
    Effect,
    Missing,
    Not,
    OneOf,
    Operator,
    Refuse,
    Rule,
    Shift,
    Threshold,
    UseArm,
)
from lake.parameters.rules import Any as AnyOf
from tests.scenario import parcel, parcel_schema, records_body
from tests.served import varied

SCHEMA = parcel_schema()
FIELDS = {**{field.name: field for field in SCHEMA.fields}, **PSEUDO_FIELDS}
EXPRESS = Compare(field="express", by="=", value=True)
ARRIVED = datetime(2026, 7, 4, 23, 59, 59, 999_999, tzinfo=timezone.utc)  # a Saturday


def content(*rules: Rule, **changes: Any) -> Content:
    return Content(**{"arms": {"champion": Arm(), "trial": Arm()}, "rules": rules, **changes})


def rule(when: Condition = EXPRESS, *then: Effect, name: str = "night") -> Rule:
    return Rule(name=name, when=when, then=then)


def problems(document: Content, schema: InputSchema = SCHEMA) -> list[str]:
    """Where a document is wrong."""
    with pytest.raises(InvalidInput) as refused:
        check_rules(document, schema)
    return [problem.path for problem in refused.value.problems]


def record(**changes: Any) -> Any:
    return Decoder(SCHEMA).records(records_body(parcel(**changes))).records[0]


def fires(when: Condition, arrived: datetime = ARRIVED, **changes: Any) -> bool:
    check_rules(content(rule(when)), SCHEMA)
    return Rules([rule(when)], SCHEMA).first(record(**changes), Arrival(epoch_us(arrived))) is not None


@pytest.mark.parametrize(
    "when",
    [
        Compare(field="colour", by="=", value="red"),
        Compare(field="depot", by="=", value="west"),
        Compare(field="depot", by="<", value="north"),
        Compare(field="express", by="=", value=1),
        Compare(field="stops", by="=", value=1.5),
        Compare(field="stops", by="=", value=True),
        Compare(field="weight_kg", by=">", value="heavy"),
        Compare(field="weight_kg", by=">", value=float("nan")),
        Compare(field="weight_kg", by=">", value=1e300),
        Compare(field="sent_at", by=">", value="2013-07-01T00:00:00"),
        Compare(field="sent_at", by=">", value="soon"),
        Compare(field="@hour", by="=", value=1.5),
        Compare(field="@minute", by="=", value=1),
        Between(field="weight_kg", low=2, high=1),
        Between(field="carrier", low="a", high="b"),
        OneOf(field="depot", values=()),
        OneOf(field="depot", values=("north", "west")),
        Missing(field="depot"),
        All(of=(EXPRESS, Not(of=AnyOf(of=(Missing(field="parcel_id"),))))),
    ],
    ids=str,
)
def test_a_condition_that_does_not_fit_the_schema_is_refused(when: Condition) -> None:
    assert all(path.startswith("rules[0].when") for path in problems(content(rule(when))))


def test_nesting_and_width_have_limits() -> None:
    deep: Condition = EXPRESS
    for _ in range(10):
        deep = Not(of=deep)

    assert problems(content(rule(deep))) == ["rules[0].when"]
    assert problems(content(rule(All(of=(EXPRESS,) * 1001)))) == ["rules[0].when"]
    assert problems(content(*(rule(name=f"r{number}") for number in range(101)))) == ["rules"]


@pytest.mark.parametrize(
    "then",
    [
        (UseArm(arm="nobody"),),
        (Answer(scores=()),),
        (Answer(scores=(0.2, 0.8)),),
        (Answer(scores=(1.5,)),),
        (Shift(by=2.0),),
        (Shift(by=float("nan")),),
        (Clip(),),
        (Clip(low=0.6, high=0.4),),
        (Clip(high=1.5),),
        (Threshold(at=0.5),),
        (Shift(by=0.1), Shift(by=0.1)),
        (Refuse(why="no"), Shift(by=0.1)),
        (Answer(scores=(0.5,)), Clip(low=0.1)),
    ],
    ids=str,
)
def test_an_effect_that_makes_no_sense_is_refused(then: tuple[Effect, ...]) -> None:
    assert all(path.startswith("rules[0].then") for path in problems(content(rule(EXPRESS, *then))))


def test_names_are_each_rules_own_and_every_problem_is_named_at_once() -> None:
    document = content(
        rule(name="share"),
        rule(name="night"),
        rule(Compare(field="colour", by="=", value=1), Shift(by=9.0)),
        threshold=2.0,
        inactive_answer=Fixed(scores=(-1.0,)),
    )

    assert problems(document) == [
        "inactive_answer.scores",
        "threshold",
        "rules[0].name",
        "rules[2].name",
        "rules[2].when.field",
        "rules[2].then[0].by",
    ]


def test_what_a_use_case_has_several_scores_for_is_answered_whole_or_not_at_all() -> None:
    schema = parcel_schema(task="multiclass", classes=("early", "late"))

    check_rules(content(rule(EXPRESS, Answer(scores=(0.25, 0.75)))), schema)
    assert problems(content(rule(EXPRESS, Answer(scores=(0.25, 0.25)))), schema) == ["rules[0].then[0].scores"]
    assert problems(content(rule(EXPRESS, Shift(by=0.1)), threshold=0.5), schema) == ["threshold", "rules[0].then[0]"]


def test_a_null_is_compared_with_nothing() -> None:
    for by in ("=", "!=", "<", "<=", ">", ">="):
        assert not fires(Compare(field="stops", by=by, value=3), stops=None)
    assert not fires(Between(field="stops", low=0, high=50), stops=None)
    assert not fires(OneOf(field="stops", values=(0, 1)), stops=None)
    assert fires(Missing(field="stops"), stops=None)
    assert fires(Not(of=Compare(field="stops", by="=", value=3)), stops=None)


def test_the_time_of_arrival_can_be_asked_for() -> None:
    assert fires(Compare(field="@hour", by="=", value=23))
    assert fires(Compare(field="@weekday", by="=", value=6))
    assert fires(Compare(field="@hour", by="=", value=0), arrived=ARRIVED + timedelta(microseconds=1))
    assert fires(Compare(field="@weekday", by="=", value=7), arrived=ARRIVED + timedelta(microseconds=1))
    assert fires(Compare(field="@arrival", by="<", value="2026-07-05T02:00:00+02:00"))
    assert not fires(Compare(field="@arrival", by="<", value="2026-07-05T02:00:00+02:00"), arrived=ARRIVED + timedelta(seconds=1))


def test_the_first_rule_that_holds_fires_alone_and_one_without_effects_leaves_the_row_to_the_model() -> None:
    rules = Rules(
        [
            rule(All(of=(EXPRESS, Compare(field="depot", by="=", value="south"))), name="left_alone"),
            rule(EXPRESS, Shift(by=0.1), name="express"),
            rule(All(of=()), Shift(by=0.5), name="all_others"),
        ],
        SCHEMA,
    )
    fired = {
        depot: [rules.first(record(depot=depot, express=express), Arrival(0)) for express in (True, False)]
        for depot in ("north", "south")
    }

    assert {depot: [one.name if one else None for one in found] for depot, found in fired.items()} == {
        "north": ["express", "all_others"],
        "south": ["left_alone", "all_others"],
    }
    assert ruled(fired["south"][0], [0.25], "binary", None).scores == [0.25]


def test_effects_happen_in_their_order_and_a_probability_stays_one() -> None:
    both = rule(EXPRESS, Shift(by=0.5), Clip(high=0.6), Threshold(at=0.6))

    assert ruled(both, [0.25], "binary", 0.9) == ruled(both, [0.75], "binary", 0.9)
    assert (ruled(both, [0.75], "binary", 0.9).scores, ruled(both, [0.75], "binary", 0.9).decision) == ([0.6], True)
    assert ruled(rule(EXPRESS, Shift(by=0.5)), [0.75], "binary", None).scores == [1.0]
    assert ruled(rule(EXPRESS, Shift(by=-5.0)), [0.75], "regression", None).scores == [-4.25]
    assert ruled(None, [0.5], "binary", 0.5).decision is True
    assert answered_in_place(rule(EXPRESS, Answer(scores=(0.1,)))) == [0.1]
    assert answered_in_place(both) is None


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """What a rule may compare a field with."""
    match field.type:
        case "category":
            return st.sampled_from(field.categories) if field.unknown_category == "refuse" else st.text(max_size=5)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(-60, 60)
        case "number":
            return st.floats(-2000, 2000) | st.integers(-2000, 2000)
        case "timestamp":
            return st.datetimes(timezones=st.just(timezone.utc)).map(datetime.isoformat)


@st.composite
def leaf_conditions(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(FIELDS)))
    field = FIELDS[name]
    kinds = ["compare", "one of"]
    ordered = field.type in ("integer", "number", "timestamp")
    kinds += ["between"] if ordered else []
    kinds += ["missing"] if field.nullable else []
    match draw(st.sampled_from(kinds)):
        case "compare":
            by: Operator = draw(st.sampled_from(get_args(Operator) if ordered else ("=", "!=")))
            return Compare(field=name, by=by, value=draw(values_of(field)))
        case "one of":
            return OneOf(field=name, values=tuple(draw(st.lists(values_of(field), min_size=1, max_size=4))))
        case "between":
            low, high = sorted((draw(values_of(field)), draw(values_of(field))), key=lambda one: plain(field, one))
            return Between(field=name, low=low, high=high)
        case _:
            return Missing(field=name)


conditions = st.recursive(
    leaf_conditions(),
    lambda inner: st.builds(
        lambda kind, of: Not(of=of[0]) if kind is Not else kind(of=tuple(of)),
        st.sampled_from([All, AnyOf, Not]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def plain(field: Field, value: Any) -> Any:
    return datetime.fromisoformat(value) if field.type == "timestamp" else value


def plainly(condition: Condition, row: Any, arrived: datetime) -> bool:
    """What a condition means, in the plainest words."""
    if isinstance(condition, All | AnyOf):
        return (all if isinstance(condition, All) else any)(plainly(one, row, arrived) for one in condition.of)
    if isinstance(condition, Not):
        return not plainly(condition.of, row, arrived)
    of_arrival = {"@arrival": arrived, "@hour": arrived.hour, "@weekday": arrived.isoweekday()}
    value = of_arrival[condition.field] if condition.field in of_arrival else getattr(row, condition.field)
    if value is None or isinstance(condition, Missing):
        return value is None and isinstance(condition, Missing)
    return bool(_plain_leaf(condition, value, FIELDS[condition.field]))


def _plain_leaf(condition: Compare | OneOf | Between, value: Any, field: Field) -> object:
    if isinstance(condition, OneOf):
        return any(value == plain(field, one) for one in condition.values)
    if isinstance(condition, Between):
        return plain(field, condition.low) <= value <= plain(field, condition.high)
    other, by = plain(field, condition.value), condition.by
    if by in ("=", "!="):
        return (value == other) == (by == "=")
    return (value < other or (value == other and "=" in by)) if "<" in by else (value > other or (value == other and "=" in by))


@settings(max_examples=300)
@given(
    when=conditions,
    row=st.sampled_from(varied(40)),
    arrived=st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, timezone.utc)),
)
def test_any_rule_that_passes_says_of_any_row_what_plain_words_say(
    when: Condition, row: dict[str, Any], arrived: datetime
) -> None:
    stored = msgspec.json.decode(canonical(content(rule(when))), type=Content)
    assert stored == content(rule(when))
    check_rules(stored, SCHEMA)

    [found] = Decoder(SCHEMA).records(records_body(row)).records
    fired = Rules(stored.rules, SCHEMA).first(found, Arrival(epoch_us(arrived)))
    assert (fired is not None) == plainly(when, found, arrived)


any_rule = st.from_type(Rule)


@settings(max_examples=100)
@given(rules=st.lists(any_rule, max_size=2), threshold=st.none() | st.floats())
def test_any_rules_are_accepted_or_refused_in_words(rules: list[Rule], threshold: float | None) -> None:
    document = content(*rules, threshold=threshold)
    try:
        check_rules(document, SCHEMA)
    except InvalidInput:
        return
    fired = Rules(document.rules, SCHEMA).first(record(), Arrival(epoch_us(ARRIVED)))
    assert len(ruled(fired, [0.5], "binary", document.threshold).scores) == 1


@given(
    effects=st.lists(
        st.one_of(
            st.builds(Shift, by=st.floats(-1, 1)),
            st.builds(Clip, low=st.floats(0, 0.5), high=st.floats(0.5, 1)),
            st.builds(Threshold, at=st.floats(0, 1)),
        ),
        max_size=3,
        unique_by=type,
    ),
    score=st.floats(0, 1),
)
def test_what_rules_make_of_a_probability_is_a_probability(effects: list[Effect], score: float) -> None:
    document = content(rule(EXPRESS, *effects), threshold=0.5)
    check_rules(document, SCHEMA)

    found = ruled(document.rules[0], [score], "binary", 0.5)
    assert 0 <= found.scores[0] <= 1
    assert isinstance(found.decision, bool)
