"""Which arm answers: a pure function of a plan, live releases, the request's key and the moment."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec

from lake.parameters import Parameters
from lake.parameters.keys import places
from lake.parameters.reserved import CHAMPION, FALLBACK, SHARE
from lake.parameters.shares import allowed_share, share_of
from lake.release.live import Live, Release
from proxy.plan import Plan


class Route(msgspec.Struct, frozen=True):
    """The release that answers, and the rule that chose it."""

    release: Release
    rule: str


class Held(msgspec.Struct, frozen=True):
    """What holds on this machine whatever the parameters say: stopped arms, and shares that were lowered here."""

    stopped: Collection[str] = frozenset()
    shares: Mapping[str, float] = {}


NOTHING_HELD = Held()


def choose(plan: Plan, live: Live, key: str, now: datetime, held: Held = NOTHING_HELD) -> Route | None:
    """The route of a key, the same each time while plan, releases and shares stay; None while nobody may answer.

    A key is the challenger's to which it was handed out, as long as it is among the first that its share of this moment
    takes; else it is the champion's. Where the champion's arm cannot be asked, the fallback arm answers.
    """
    parameters, champion = plan.parameters, live.champion
    if champion is None or not reachable(parameters, champion, held):
        return fallback(plan, live, held)
    holder = plan.holder(key)
    if holder is not None:
        arm, rank = holder
        release = live.releases.get(arm)
        if (
            release is not None
            and release.role == "challenger"
            and reachable(parameters, release, held)
            and rank < places(_share(parameters, release, now, held))
        ):
            return Route(release, SHARE)
    return Route(champion, CHAMPION)


def fallback(plan: Plan, live: Live, held: Held = NOTHING_HELD) -> Route | None:
    """The route to the fallback arm, or None where there is none that may answer all requests."""
    arm = plan.parameters.fallback_arm
    release = None if arm is None else live.on(arm)
    return None if release is None or why_not(plan.parameters, release, held) else Route(release, FALLBACK)


def made_up_for(plan: Plan, live: Live, failed: Collection[str], held: Held = NOTHING_HELD) -> Route | None:
    """The route instead of arms that failed: the champion answers for a challenger, the fallback arm for both."""
    champion = live.champion
    if champion is not None and champion.arm not in failed and reachable(plan.parameters, champion, held):
        return Route(champion, FALLBACK)
    route = fallback(plan, live, held)
    return None if route is None or route.release.arm in failed else route


def overridden(plan: Plan, live: Live, arm: str, rule: str, held: Held = NOTHING_HELD) -> Route | None:
    """The route that a rule asks for, or None where that arm may not answer whatever comes."""
    release = live.on(arm)
    return None if release is None or why_not(plan.parameters, release, held) else Route(release, rule)


def why_not(parameters: Parameters, release: Release, held: Held = NOTHING_HELD) -> str | None:
    """Why an arm may not be asked beyond its share, by a rule or as a fallback; None where it may."""
    if release.role == "shadow":
        return f"arm {release.arm!r} serves a shadow, which answers nobody"
    if not reachable(parameters, release, held):
        return f"arm {release.arm!r} is not active, or has no address"
    allowed = allowed_share(parameters.arms[release.arm], release)
    if release.role != "champion" and allowed < 1:
        return f"release {release.seq} on arm {release.arm!r} may have {allowed:.0%} of the requests, and so might get more"
    return None


def challenger_shares(
    parameters: Parameters, live: Live, now: datetime, held: Held = NOTHING_HELD
) -> list[tuple[Release, float]]:
    """The challengers that may answer now, by the names of their arms, each with its share of all requests."""
    return [
        (release, share)
        for _, release in sorted(live.releases.items())
        if release.role == "challenger" and reachable(parameters, release, held)
        if (share := _share(parameters, release, now, held)) > 0
    ]


def reachable(parameters: Parameters, release: Release, held: Held = NOTHING_HELD) -> bool:
    """Whether the arm of a release may be asked: it is active, not stopped, and has an address."""
    arm = parameters.arms.get(release.arm)
    return arm is not None and arm.active and bool(arm.upstreams) and release.arm not in held.stopped


def _share(parameters: Parameters, release: Release, now: datetime, held: Held) -> float:
    share = share_of(parameters.arms[release.arm], release, now)
    return min(share, held.shares[release.arm]) if release.arm in held.shares else share
