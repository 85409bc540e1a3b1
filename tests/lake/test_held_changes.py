"""What one machine holds while the lake is away: only what stops or lowers, over whatever the parameters say by then."""

from datetime import datetime, timezone
from typing import Any

import pytest
from msgspec.structs import replace

from lake.home import Home
from lake.parameters import Arm, Parameters
from lake.parameters.document import Content, Ramp, Step, content_of
from lake.parameters.held import HeldArm, HeldChange, held_change, hold, let_go, lowered_by, read_held
from lake.parameters.rules import All, Refuse, Rule
from tests.scenario import USE_CASE

RAMP = Ramp(steps=(Step(at_utc=datetime(2026, 1, 1, tzinfo=timezone.utc), share=0.5),))
BEFORE = Parameters(
    use_case=USE_CASE,
    version=4,
    arms={"champion": Arm(upstreams=("http://a:1",)), "b": Arm(share=0.2), "ramped": Arm(share=0.1, ramp=RAMP)},
)


def changed(**arms: Any) -> Content:
    """The parameters with other facts of some arms."""
    return replace(content_of(BEFORE), arms=BEFORE.arms | {name: replace(BEFORE.arms[name], **to) for name, to in arms.items()})


def held(after: Content) -> HeldChange | None:
    return held_change(BEFORE, after, "olga", "2026-01-02T00:00:00Z", "incident 7")


def test_what_stops_or_lowers_is_held_as_just_that() -> None:
    found = held(replace(changed(b={"share": 0.05}, champion={"active": False}), active=False))
    assert found is not None
    assert (found.after_version, found.switched_off) == (4, True)
    assert found.arms == {"champion": HeldArm(switched_off=True), "b": HeldArm(share=0.05)}
    ended = held(changed(ramped={"ramp": None}))
    assert ended is not None
    assert ended.arms == {"ramped": HeldArm(share=0.1)}


@pytest.mark.parametrize(
    "after",
    [
        content_of(BEFORE),
        changed(b={"share": 0.3}),
        replace(changed(b={"share": 0.0}), rules=(Rule(name="no", when=All(of=()), then=(Refuse(why="x"),)),)),
        changed(champion={"upstreams": ("http://b:1",)}),
        changed(ramped={"share": 0.0}),
        replace(content_of(BEFORE), arms=BEFORE.arms | {"new": Arm(active=False)}),
    ],
    ids=["nothing", "a greater share", "a rule as well", "an address", "the beginning of a ramp that goes on", "a new arm"],
)
def test_what_does_anything_else_is_not_held(after: Content) -> None:
    assert held(after) is None


def test_it_lowers_what_was_stored_meanwhile_and_touches_nothing_else() -> None:
    found = held(changed(b={"share": 0.05, "active": False}, ramped={"ramp": None}))
    assert found is not None
    meanwhile = replace(BEFORE, version=5, timeout_s=1.0, arms={**BEFORE.arms, "b": Arm(share=0.6), "c": Arm(share=0.1)})

    brought = lowered_by(meanwhile, found)
    assert brought.arms["b"] == Arm(share=0.05, active=False)
    assert brought.arms["ramped"] == Arm(share=0.1)
    assert (brought.timeout_s, brought.active, brought.arms["c"]) == (1.0, True, Arm(share=0.1))
    assert lowered_by(brought, found) == brought, "once it is there, nothing is left to do"
    lower = replace(meanwhile, arms={"b": Arm(share=0.01, active=False)})
    assert lowered_by(lower, found) == content_of(lower), "nobody who lowered more is raised again"


def test_two_that_hold_something_take_nothing_from_each_other(home: Home) -> None:
    first, second = held(changed(b={"share": 0.1})), held(changed(b={"active": False}))
    assert first is not None
    assert second is not None
    hold(home, first)
    hold(home, second)
    assert {one.concerns for one in read_held(home).values()} == {None, "b"}
    for path in read_held(home):
        let_go(path)
        let_go(path)
    assert read_held(home) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"use_case": 1}'])
def test_what_nobody_can_read_stops_the_use_case_here(home: Home, content: bytes) -> None:
    home.held.mkdir(parents=True)
    path = home.held / f"{USE_CASE}.1.json"
    path.write_bytes(content)

    [found] = read_held(home).values()
    assert (found.use_case, found.switched_off, found.after_version) == (USE_CASE, True, None)
    assert str(path) in found.why
