"""Routing is a pure function of parameters, live releases and the request's key."""

from collections import Counter
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.parameters import Arm, Parameters
from lake.release.decision import Role
from lake.release.live import Live, Release
from proxy.routing import choose
from tests.scenario import USE_CASE

KEYS = [f"P-{number}" for number in range(20_000)]


def release(arm: str, role: Role = "challenger", greatest_share: float = 1.0) -> Release:
    return Release(
        seq=1,
        at_utc="2026-01-01T00:00:00Z",
        role=role,
        arm=arm,
        package_digest="a" * 64,
        evaluation_id="e" * 64,
        model_version=f"{USE_CASE} 1.0.0",
        approvers=("ada",),
        identity="claimed",
        greatest_share=greatest_share,
        expires_at_utc=None,
    )


def live(*challengers: Release) -> Live:
    """A champion beside these."""
    return Live({one.arm: one for one in (release("champion", "champion"), *challengers)})


def parameters(salt: str = "1", **shares: float | Arm) -> Parameters:
    """A champion, and an arm with each of these shares."""
    arms = {name: one if isinstance(one, Arm) else Arm(upstreams=("http://host:1",), share=one) for name, one in shares.items()}
    return Parameters(use_case=USE_CASE, salt=salt, arms={"champion": Arm(upstreams=("http://host:1",)), **arms})


def arms(parameters: Parameters, live: Live) -> dict[str, str]:
    """The arm of each key."""
    routes = {key: choose(parameters, live, key) for key in KEYS}
    return {key: route.release.arm for key, route in routes.items() if route is not None}


def moves(before: dict[str, str], after: dict[str, str]) -> Counter[tuple[str, str]]:
    """How many keys went from which arm to which."""
    return Counter((before[key], after[key]) for key in KEYS if before[key] != after[key])


def assert_share(counted: int, share: float) -> None:
    """Within four standard errors of what so many independent keys would give."""
    expected = share * len(KEYS)
    assert abs(counted - expected) <= 4 * sqrt(max(expected * (1 - share), 1.0)), (counted, expected)


@pytest.mark.parametrize("shares", [{"a": 0.1}, {"a": 0.5}, {"a": 1.0}, {"a": 0.01, "b": 0.2}, {"a": 0.3, "b": 0.3, "c": 0.1}])
@pytest.mark.parametrize("salt", ["1", "another experiment"])
def test_each_challenger_gets_its_share(shares: dict[str, float], salt: str) -> None:
    counted = Counter(arms(parameters(salt, **shares), live(*map(release, shares))).values())

    for arm, share in shares.items():
        assert_share(counted[arm], share)
    assert_share(counted["champion"], 1 - sum(shares.values()))


def test_a_challenger_without_a_share_gets_nothing() -> None:
    assert set(arms(parameters(a=0.0), live(release("a"), release("b"))).values()) == {"champion"}


@given(key=st.text(), share=st.floats(0, 1), salt=st.text())
def test_a_key_meets_the_same_arm_each_time(key: str, share: float, salt: str) -> None:
    routes = [choose(parameters(salt, a=share), live(release("a")), key) for _ in range(2)]

    assert routes[0] == routes[1] is not None


def test_another_salt_assigns_anew() -> None:
    before, after = (arms(parameters(salt, a=0.5), live(release("a"))) for salt in ("1", "2"))

    assert_share(sum(moves(before, after).values()), 0.5)


def test_raising_a_share_moves_only_keys_of_the_champion() -> None:
    before, after = (arms(parameters(a=share), live(release("a"))) for share in (0.1, 0.25))

    assert set(moves(before, after)) == {("champion", "a")}


def test_with_several_challengers_the_others_keep_their_keys_but_for_those_that_both_claim() -> None:
    challengers = live(release("a"), release("b"))
    before, after = (arms(parameters(a=share, b=0.1), challengers) for share in (0.1, 0.3))

    moved = moves(before, after)
    assert set(moved) == {("champion", "a"), ("b", "a"), ("champion", "b")}
    assert moved["b", "a"] < 1.5 * 0.2 * 0.1 * len(KEYS)
    assert moved["champion", "b"] < 1.5 * 0.2 * 0.1 * len(KEYS)


def test_a_challenger_that_ends_leaves_its_keys_to_the_champion() -> None:
    both = live(release("a"), release("b"))
    before = arms(parameters(a=0.2, b=0.2), both)

    assert set(moves(before, arms(parameters(a=0.2), both))) == {("b", "champion")}
    moved = moves(before, arms(parameters(b=0.2), both))
    assert_share(moved["a", "champion"], 0.2 - 0.2 * 0.2)
    assert_share(moved["a", "b"], 0.2 * 0.2)


def test_a_release_is_never_given_more_than_its_greatest_share() -> None:
    counted = Counter(arms(parameters(a=0.5, b=0.2), live(release("a", greatest_share=0.1), release("b"))).values())

    assert_share(counted["a"], 0.1)
    assert_share(counted["b"], 0.2)
    assert_share(counted["champion"], 0.7)


@pytest.mark.parametrize(
    "arm",
    [Arm(upstreams=("http://host:1",), share=0.5, active=False), Arm(share=0.5)],
    ids=["switched off", "no address"],
)
def test_an_arm_that_cannot_be_asked_gets_nothing(arm: Arm) -> None:
    assert set(arms(parameters(a=arm), live(release("a"))).values()) == {"champion"}


def test_a_shadow_is_never_the_answer() -> None:
    assert set(arms(parameters(a=0.5), live(release("a", "shadow"))).values()) == {"champion"}


@pytest.mark.parametrize(
    ("champion", "releases"),
    [
        (Arm(upstreams=("http://host:1",)), Live({"a": release("a")})),
        (Arm(upstreams=("http://host:1",), active=False), live(release("a"))),
        (Arm(), live(release("a"))),
        (None, live(release("a"))),
    ],
    ids=["not released", "switched off", "no address", "not named"],
)
def test_without_a_champion_there_is_no_route(champion: Arm | None, releases: Live) -> None:
    named: dict[str, Any] = {} if champion is None else {"champion": champion}
    document = Parameters(use_case=USE_CASE, arms={"a": Arm(upstreams=("http://host:1",), share=1.0), **named})

    assert all(choose(document, releases, key) is None for key in KEYS[:100])


def test_the_rule_says_why() -> None:
    routes = [choose(parameters(a=0.5), live(release("a")), key) for key in KEYS[:100]]

    assert {(route.release.role, route.rule) for route in routes if route} == {("champion", "champion"), ("challenger", "share")}
