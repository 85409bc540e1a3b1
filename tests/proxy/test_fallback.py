"""Who answers where others failed: the champion for a challenger, a named arm for the champion, nobody past what was allowed."""

import pytest

from lake.parameters import Arm, Parameters
from lake.release.live import Live, Release
from proxy.plan import Plan
from proxy.routing import made_up_for
from tests.proxy.test_routing import release
from tests.scenario import USE_CASE

REACHABLE = Arm(upstreams=("http://host:1",))


def answers(*releases: Release, failed: tuple[str, ...] = ("champion",), named: str | None = "spare", **arms: Arm) -> str | None:
    """The arm that answers instead of those that failed."""
    live = Live({one.arm: one for one in (release("champion", "champion"), *releases)})
    reachable = {"champion": REACHABLE, "spare": REACHABLE, "other": REACHABLE, **arms}
    document = Parameters(use_case=USE_CASE, arms=reachable, fallback_arm=named)
    route = made_up_for(Plan(document), live, failed)
    assert route is None or route.rule == "fallback"
    return None if route is None else route.release.arm


def test_the_champion_answers_for_a_challenger() -> None:
    assert answers(release("other"), failed=("other",), named=None) == "champion"
    assert answers(release("other"), release("spare"), failed=("other",)) == "champion"


def test_the_named_arm_answers_for_the_champion_and_where_both_have_failed() -> None:
    assert answers(release("spare")) == "spare"
    assert answers(release("spare"), release("other"), failed=("other", "champion")) == "spare"


def test_nobody_answers_for_the_champion_unless_named() -> None:
    assert answers(release("spare"), named=None) is None
    assert answers(named="spare") is None, "it is not released"
    assert answers(release("spare"), failed=("champion", "spare")) is None
    assert answers(named="champion") is None


@pytest.mark.parametrize(
    "spare",
    [release("spare", greatest_share=0.5), release("spare", "shadow")],
    ids=["allowed half of the requests", "a shadow"],
)
def test_who_may_not_take_all_requests_takes_over_from_nobody(spare: Release) -> None:
    assert answers(spare) is None


@pytest.mark.parametrize("arm", [Arm(), Arm(upstreams=("http://host:1",), active=False)], ids=["no address", "switched off"])
def test_an_arm_that_cannot_be_asked_takes_over_from_nobody(arm: Arm) -> None:
    assert answers(release("spare"), spare=arm) is None
    assert answers(release("other"), failed=("other",), named=None, champion=arm) is None
