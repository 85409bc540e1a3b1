"""A document tried against the log: which past answers would have been others, how, and what cannot be told."""

from typing import Any

import msgspec
import polars as pl
from msgspec.structs import replace

from lake.delta import Table
from lake.home import Home
from lake.input_schema import InputSchema
from lake.log.columns import Columns, kind_of
from lake.log.records import PredictionRecord, encode_record
from lake.parameters.document import Content
from lake.parameters.replay import Replay, newest_answers, replay
from lake.parameters.rules import (
    Answer,
    Clip,
    Compare,
    Condition,
    Effect,
    Refuse,
    Rule,
    Shift,
    UseArm,
)
from lake.tables import PREDICTIONS
from tests.scenario import USE_CASE, parcel_schema, prediction, private_schema

ODD = Compare(field="express", by="=", value=False)
HEAVY = Compare(field="weight_kg", by=">", value=500.0)


def logged(*records: PredictionRecord, schema: InputSchema | None = None) -> pl.DataFrame:
    """The rows as the shipper makes them."""
    encoded = [encode_record(record) for record in records]
    return Columns(kind_of(encoded[0]), schema or parcel_schema()).frame(encoded, range(len(encoded)), "s")[0]


def tried(*rules: Rule, rows: pl.DataFrame, **changes: Any) -> Replay:
    return replay(Content(**{"rules": rules, **changes}), parcel_schema(), rows)


def rule(name: str, when: Condition, *then: Effect) -> Rule:
    return Rule(name=name, when=when, then=then)


def kinds(found: Replay) -> dict[str | None, dict[str, int]]:
    return {name: dict(effect.kinds) for name, effect in found.by_rule.items()}


def at_weight(number: int, weight_kg: float, **changes: Any) -> PredictionRecord:
    record = prediction(number, **changes)
    return replace(record, features=replace(record.features, weight_kg=weight_kg))


def test_what_would_have_been_other_is_counted_by_rule_with_examples() -> None:
    rows = logged(*(at_weight(number, 100.0 * number) for number in range(10)))
    found = tried(rule("heavy", HEAVY, Shift(by=0.5)), rule("light", ODD, Clip(low=0.1, high=0.9)), rows=rows)

    assert (found.rows, found.changed, found.unknown) == (10, 4, {})
    assert kinds(found) == {"light": {}, "heavy": {"another score": 4}}
    assert {name: effect.rows for name, effect in found.by_rule.items()} == {"light": 6, "heavy": 4}
    [first, *_] = found.by_rule["heavy"].examples
    assert (first.was, first.would_be, len(found.by_rule["heavy"].examples)) == ("[0.25]", "[0.75]", 3)


def test_each_way_to_answer_otherwise_is_told_apart() -> None:
    refused = at_weight(1, 900.0, outcome="refused", status=422, rule="old", scores=None, answer=None, arm=None)
    ruled = at_weight(2, 1.0, rule="old", answer=[0.75])
    rows = logged(at_weight(0, 900.0), refused, ruled)

    assert kinds(tried(rule("no", HEAVY, Refuse(why="too heavy")), rows=rows)) == {
        "no": {"refused": 1},
        None: {"another score": 1},
    }
    assert kinds(tried(rule("fixed", HEAVY, Answer(scores=(0.5,))), rows=rows))["fixed"] == {"another score": 1, "answered": 1}
    assert kinds(tried(rule("there", HEAVY, UseArm(arm="trial")), rows=rows))["there"] == {
        "another arm, whose answer is not known": 2
    }
    assert kinds(tried(rows=rows)) == {None: {"answered, how is not known": 1, "another score": 1}}


def test_what_cannot_be_tried_is_counted_with_its_reason() -> None:
    undecoded = replace(prediction(0), features=None, outcome="refused", status=400, scores=None, answer=None, raw=b"{")
    rows = logged(undecoded, prediction(1))

    assert tried(rule("heavy", HEAVY, Shift(by=0.5)), rows=rows).unknown == {
        "its fields could not be decoded, or were never read": 1
    }
    hidden = replay(Content(rules=(rule("heavy", HEAVY, Shift(by=0.5)),)), private_schema(), rows)
    assert hidden.unknown["the log keeps ['weight_kg'] hashed, or not at all, and rules ask for them"] == 1


def test_shadows_are_nobodys_answer_and_the_newest_are_tried(home: Home) -> None:
    records = [prediction(number) for number in range(6)]
    records[5] = msgspec.structs.replace(records[5], purpose="shadow")
    Table(home.lake, USE_CASE, PREDICTIONS).append_once(logged(*records), "s", ["event_date"])

    found = newest_answers(Table(home.lake, USE_CASE, PREDICTIONS).scan(), 3)
    assert found["request_id"].str.slice(-1).to_list() == ["2", "3", "4"]
