"""What one operator may change, what takes an approver's signature, and what only lowers."""

from typing import Any

import pytest
from msgspec.structs import replace

from lake.parameters.changes import changes_of_meaning, differences, raises
from lake.parameters.document import Arm, Content, Fixed, Ramp, RateLimit, Step
from lake.parameters.rules import (
    All,
    Answer,
    Clip,
    Compare,
    Condition,
    Effect,
    Not,
    Refuse,
    Rule,
    Shift,
    Threshold,
    UseArm,
)
from lake.times import utc

NIGHT = Compare(field="@hour", by=">=", value=22)
HEAVY = Compare(field="weight_kg", by=">", value=500.0)
LATER = utc("2026-08-01T00:00:00Z")


def rule(name: str, when: Condition = NIGHT, *then: Effect) -> Rule:
    return Rule(name=name, when=when, then=then)


def content(*rules: Rule, **changes: Any) -> Content:
    arms = {"champion": Arm(upstreams=("http://a:1",)), "trial": Arm(upstreams=("http://b:1",), share=0.1)}
    return Content(**{"arms": arms, "rules": rules, **changes})


def with_trial(**changes: Any) -> Content:
    """The content with another trial arm."""
    before = content()
    return replace(before, arms={**before.arms, "trial": replace(before.arms["trial"], **changes)})


def signed(before: Content, after: Content) -> list[str]:
    return [one.what for one in changes_of_meaning(before, after)]


SHIFT = rule("shift", HEAVY, Shift(by=0.1))


@pytest.mark.parametrize(
    "after",
    [
        content(active=False),
        content(timeout_s=0.1),
        content(salt="2"),
        content(sticky="request"),
        content(fallback_arm="trial"),
        content(rate_limit=RateLimit(per_second=1, burst=1)),
        content(rule("stop", NIGHT, Refuse(why="no"))),
        content(rule("back", NIGHT, UseArm(arm="champion"))),
        content(rule("leave", NIGHT)),
        with_trial(share=0.0),
        with_trial(share=1.0),
        with_trial(active=False),
        with_trial(upstreams=()),
        with_trial(ramp=Ramp(steps=(Step(at_utc=LATER, share=0.5),))),
        content(arms={}),
    ],
)
def test_stopping_lowering_refusing_and_falling_back_take_one_operator(after: Content) -> None:
    assert signed(content(), after) == []


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (content(SHIFT), "rule 'shift' is new: shift the score by +0.1"),
        (content(rule("r", NIGHT, Clip(high=0.9))), "rule 'r' is new: clip the score to at most 0.9"),
        (content(rule("r", NIGHT, Answer(scores=(0.5,)))), "rule 'r' is new: answer [0.5]"),
        (content(rule("r", NIGHT, UseArm(arm="trial"), Threshold(at=0.3))), "rule 'r' is new: decide yes from 0.3"),
        (content(threshold=0.5), "threshold: null -> 0.5"),
        (content(inactive_answer=Fixed(scores=(0.5,))), "inactive_answer: scores in the model's place"),
        (with_trial(upstreams=("http://b:1", "http://c:1")), "arms.trial.upstreams: http://c:1 is new"),
        (with_trial(beyond_release=3), "arms.trial: a share of 0.1, whatever release 3 allows"),
    ],
)
def test_what_changes_the_meaning_of_answers_is_named_to_be_signed(after: Content, what: str) -> None:
    assert signed(content(), after) == [what]


def test_a_share_beyond_its_release_takes_a_signature_whatever_the_policy_asks_for() -> None:
    before = with_trial(beyond_release=3)

    assert [one.always for one in changes_of_meaning(content(), before)] == [True]
    assert signed(before, with_trial(beyond_release=3, share=0.05)) == []
    assert [one.always for one in changes_of_meaning(before, with_trial(beyond_release=3, share=0.2))] == [True]
    assert [one.always for one in changes_of_meaning(before, with_trial(beyond_release=4))] == [True]
    everything = replace(before, rules=(rule("all", All(of=()), UseArm(arm="trial")),))
    assert [one.always for one in changes_of_meaning(before, everything)] == [True]


def test_an_address_that_the_machine_was_given_itself_is_vouched_for() -> None:
    after = with_trial(upstreams=("http://c:1",))

    assert changes_of_meaning(content(), after, {"trial": ("http://c:1",)}) == []
    assert len(changes_of_meaning(content(), after, {"champion": ("http://c:1",)})) == 1


def test_a_rule_that_was_signed_may_be_kept_renamed_and_taken_away() -> None:
    before = content(rule("stop", NIGHT, Refuse(why="no")), SHIFT)

    assert signed(before, before) == []
    assert signed(before, content(rule("stop", NIGHT, Refuse(why="no")))) == []
    assert signed(before, content(rule("stop", NIGHT, Refuse(why="no")), replace(SHIFT, name="other"))) == []
    assert signed(before, content(rule("stop", NIGHT), SHIFT)) == [], "without effects it still keeps its rows"


@pytest.mark.parametrize(
    "rules",
    [
        (SHIFT,),
        (SHIFT, rule("stop", NIGHT, Refuse(why="no"))),
        (rule("stop", Not(of=NIGHT), Refuse(why="no")), SHIFT),
        (rule("stop", NIGHT, Refuse(why="no")), replace(SHIFT, when=Not(of=HEAVY))),
        (rule("stop", NIGHT, Refuse(why="no")), replace(SHIFT, then=(Shift(by=0.2),))),
    ],
    ids=["the one ahead is gone", "another order", "the one ahead catches others", "other rows", "more"],
)
def test_a_rule_that_was_signed_reaches_no_other_rows_and_does_no_more(rules: tuple[Rule, ...]) -> None:
    before = content(rule("stop", NIGHT, Refuse(why="no")), SHIFT)

    assert len(signed(before, content(*rules))) == 1


@pytest.mark.parametrize(
    ("after", "lowers"),
    [
        (with_trial(share=0.05), True),
        (with_trial(share=0.05, active=False), True),
        (content(active=False), True),
        (content(), True),
        (with_trial(share=0.2), False),
        (with_trial(ramp=Ramp(steps=(Step(at_utc=LATER, share=0.5),))), False),
        (content(timeout_s=1.0), False),
        (content(rule("stop", NIGHT, Refuse(why="no"))), False),
        (with_trial(upstreams=()), False),
        (content(arms={}), False),
    ],
)
def test_a_monitor_lowers_shares_and_switches_off_and_no_more(after: Content, *, lowers: bool) -> None:
    assert (raises(content(), after) == []) is lowers


def test_what_was_switched_off_is_not_switched_on_by_a_monitor() -> None:
    assert raises(content(active=False), content()) == ["active: false -> true"]
    assert raises(with_trial(active=False), content()) == ["trial.active: false -> true"]


def test_differences_are_told_in_words() -> None:
    before = content(SHIFT, rule("stop"))
    after = replace(content(rule("stop"), SHIFT, rule("new")), timeout_s=1.0, arms={"trial": Arm(share=0.2), "fresh": Arm()})

    assert differences(before, after) == [
        "arm 'fresh' added",
        "arm 'champion' removed",
        'trial.upstreams: ["http://b:1"] -> []',
        "trial.share: 0.1 -> 0.2",
        "timeout_s: 2.0 -> 1.0",
        "rule 'new' added",
        "rules in another order",
    ]
