"""Routing is a pure function of parameters, live releases and the request's key."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from math import sqrt
from typing import Any

import msgspec
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from lake.parameters import Arm, Parameters
from lake.parameters.document import PLACES, Ramp, Step
from lake.parameters.keys import handed_out, places, width
from lake.parameters.stored import keys_of
from lake.release.decision import Role
from lake.release.live import Live, Release
from proxy.plan import Plan
from proxy.routing import NOTHING_HELD, Held, Route, choose, fallback, overridden
from tests.scenario import USE_CASE

KEYS = [f"P-{number}" for number in range(20_000)]
NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)


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


def later(before: Parameters, **shares: float | Arm) -> Parameters:
    """The version after: these shares, with the keys that were handed out before."""
    after = parameters(before.salt, **shares)
    return msgspec.structs.replace(after, keys=handed_out(after, keys_of(before)))


def routed(document: Parameters, releases: Live, key: str, now: datetime = NOW, held: Held = NOTHING_HELD) -> Route | None:
    """The route of one key."""
    return choose(Plan(document), releases, key, now, held)


def arms(document: Parameters, releases: Live, keys: Sequence[str] = KEYS, now: datetime = NOW) -> dict[str, str]:
    """The arm of each key."""
    plan = Plan(document)
    routes = {key: choose(plan, releases, key, now) for key in keys}
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
    routes = [routed(parameters(salt, a=share), live(release("a")), key) for _ in range(2)]

    assert routes[0] == routes[1] is not None


def test_another_salt_assigns_anew() -> None:
    before, after = (arms(parameters(salt, a=0.5), live(release("a"))) for salt in ("1", "2"))

    assert_share(sum(moves(before, after).values()), 0.5)


def test_raising_a_share_moves_only_keys_of_the_champion() -> None:
    before, after = (arms(parameters(a=share), live(release("a"))) for share in (0.1, 0.25))

    assert set(moves(before, after)) == {("champion", "a")}


def test_a_changed_share_moves_keys_between_that_challenger_and_the_champion_alone() -> None:
    three = live(release("a"), release("b"), release("c"))
    first = parameters(a=0.1, b=0.2, c=0.3)
    versions = [first]
    for shares in (
        {"a": 0.4, "b": 0.2, "c": 0.3},
        {"a": 0.0, "b": 0.2, "c": 0.3},
        {"a": 0.0, "b": 0.5, "c": 0.3},
        {"a": 0.2, "b": 0.5},
    ):
        versions.append(later(versions[-1], **shares))
    routes = [arms(version, three) for version in versions]

    moved = [set(moves(before, after)) for before, after in pairwise(routes)]
    assert moved == [{("champion", "a")}, {("a", "champion")}, {("champion", "b")}, {("champion", "a"), ("c", "champion")}]


def test_a_challenger_that_ends_leaves_its_keys_to_the_champion() -> None:
    both = live(release("a"), release("b"))
    before = arms(parameters(a=0.2, b=0.2), both)

    assert set(moves(before, arms(parameters(a=0.2, b=0.2), live(release("a"))))) == {("b", "champion")}
    assert set(moves(before, arms(parameters(a=0.2, b=0.2), live(release("b"))))) == {("a", "champion")}


@pytest.mark.parametrize(("number", "within"), [(100_000, 0.006), pytest.param(1_000_000, 0.002, marks=pytest.mark.slow)])
def test_of_many_keys_each_arm_has_its_share_and_none_goes_back_while_a_share_grows(number: int, within: float) -> None:
    keys = [f"client {one}" for one in range(number)]
    releases = live(release("a"), release("b"))
    document, before = parameters(a=0.0, b=0.3), dict.fromkeys(keys, "champion")
    for share in (0.05, 0.10, 0.25, 0.50):
        document = later(document, a=share, b=0.3)
        after = arms(document, releases, keys)

        counted = Counter(after.values())
        assert abs(counted["a"] / len(keys) - share) < within
        assert abs(counted["b"] / len(keys) - 0.3) < within
        moved = {(before[key], after[key]) for key in keys if before[key] != after[key]}
        assert moved == {("champion", "a")} | ({("champion", "b")} if share == 0.05 else set())
        before = after


def test_a_share_that_shrinks_and_grows_again_has_the_keys_that_it_had() -> None:
    first = later(parameters(), a=0.5)
    again = later(later(first, a=0.1), a=0.5)

    assert arms(first, live(release("a"))) == arms(again, live(release("a")))


def test_a_ramp_gives_its_keys_step_by_step_and_takes_none_back() -> None:
    ramp = Ramp(steps=(Step(at_utc=NOW, share=0.2), Step(at_utc=NOW + timedelta(hours=1), share=0.5)))
    document = parameters(a=Arm(upstreams=("http://host:1",), share=0.05, ramp=ramp))
    allowed = live(release("a", greatest_share=0.4))
    before, begun, risen = (arms(document, allowed, now=NOW + timedelta(minutes=shift)) for shift in (-1, 0, 61))

    assert_share(Counter(before.values())["a"], 0.05)
    assert_share(Counter(begun.values())["a"], 0.2)
    assert_share(Counter(risen.values())["a"], 0.4)
    assert set(moves(before, begun)) == set(moves(begun, risen)) == {("champion", "a")}


@given(
    shares=st.lists(st.tuples(st.floats(0, 0.25), st.floats(0, 0.25), st.floats(0, 0.25)), min_size=1, max_size=5),
    greatest=st.floats(0, 1),
    key=st.text(),
    held=st.one_of(st.none(), st.floats(0, 1)),
    stopped=st.sets(st.sampled_from(["a", "b", "champion"])),
)
def test_a_route_is_what_the_plain_words_say(
    shares: list[tuple[float, float, float]], greatest: float, key: str, held: float | None, stopped: set[str]
) -> None:
    document = parameters()
    for a, b, c in shares:
        document = later(document, a=a, b=b, c=c)
    lowered = Held(stopped=stopped, shares={} if held is None else {"a": held})
    releases = live(release("a", greatest_share=greatest), release("b"), release("c", "shadow"))

    route = routed(document, releases, key, held=lowered)
    assert (None if route is None else route.release.arm) == plainly(document, releases, key, lowered)
    assert {arm: width(spans) for arm, spans in document.keys.items()} == {
        arm: count for arm, one in document.arms.items() if (count := places(one.share))
    }


def plainly(document: Parameters, releases: Live, key: str, held: Held) -> str | None:
    """The routing in plain words: list each arm's places one by one, and take the first that its share allows."""
    if "champion" in held.stopped:
        return None
    place = xxhash.xxh3_64_intdigest(f"{document.salt}:{key}".encode()) * PLACES // 2**64
    for arm, spans in document.keys.items():
        before = 0
        for start, end in spans:
            if start <= place < end:
                one = releases.releases[arm]
                share = min(document.arms[arm].share, one.greatest_share, held.shares.get(arm, 1.0))
                has = one.role == "challenger" and arm not in held.stopped
                return arm if has and before + place - start < places(share) else "champion"
            before += end - start
    return "champion"


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

    assert all(routed(document, releases, key) is None for key in KEYS[:100])


def test_the_rule_says_why() -> None:
    routes = [routed(parameters(a=0.5), live(release("a")), key) for key in KEYS[:100]]

    assert {(route.release.role, route.rule) for route in routes if route} == {("champion", "champion"), ("challenger", "share")}


def test_the_fallback_arm_answers_where_the_champion_cannot_be_asked() -> None:
    document = msgspec.structs.replace(
        parameters(a=0.0, champion=Arm(upstreams=("http://host:1",), active=False)), fallback_arm="a"
    )

    route = routed(document, live(release("a")), "key")
    assert route is not None
    assert (route.release.arm, route.rule) == ("a", "fallback")
    assert routed(document, live(release("a", greatest_share=0.5)), "key") is None, "it may not have all requests"
    assert routed(document, live(release("a", "shadow")), "key") is None
    assert routed(document, live(release("a")), "key", held=Held(stopped={"a"})) is None
    assert fallback(Plan(parameters(a=0.0)), live(release("a"))) is None


def test_a_rule_sends_no_arm_more_than_its_release_allows_unless_that_was_signed() -> None:
    plan, limited = Plan(parameters(a=0.1)), live(release("a", greatest_share=0.1))
    signed = Plan(parameters(a=Arm(upstreams=("http://host:1",), share=0.1, beyond_release=1)))

    assert overridden(plan, limited, "a", "night") is None
    assert overridden(signed, limited, "a", "night") == Route(limited.releases["a"], "night")
    assert overridden(plan, live(release("a")), "a", "night") == Route(release("a"), "night")
    assert overridden(plan, live(), "a", "night") is None


def test_a_signed_share_goes_beyond_this_release_and_no_other() -> None:
    document = parameters(a=Arm(upstreams=("http://host:1",), share=0.5, beyond_release=1))
    limited = release("a", greatest_share=0.1)

    assert_share(Counter(arms(document, live(limited)).values())["a"], 0.5)
    assert_share(Counter(arms(document, live(msgspec.structs.replace(limited, seq=2))).values())["a"], 0.1)
