"""Which arm answers: a pure function of parameters, live releases and the request's key."""

from typing import Literal

import msgspec
import xxhash

from lake.parameters import Parameters
from lake.release.live import Live, Release

Rule = Literal["champion", "share", "fallback"]

_SCALE = float(2**64)


class Route(msgspec.Struct, frozen=True):
    """The release that answers, and the rule that chose it."""

    release: Release
    rule: Rule


def choose(parameters: Parameters, live: Live, key: str) -> Route | None:
    """The route of a key, the same each time while parameters and releases stay; None while there is no champion.

    A challenger's share is what the parameters say, never above what its release allows. Each challenger, in the order
    of the arms' names, claims its share of the keys by a hash of its own, and a key is the first one's that claims it.
    So a changed share moves keys between that challenger and the champion alone; only where two challengers would
    claim the same key, as often as the product of their shares, does it move between them.
    """
    champion = live.champion
    if champion is None or not _reachable(parameters, champion):
        return None
    unclaimed = 1.0
    for release, share in challenger_shares(parameters, live):
        if unit_hash(f"{parameters.salt}:{release.arm}:{key}") * unclaimed < share:
            return Route(release, "share")
        unclaimed -= share
    return Route(champion, "champion")


def challenger_shares(parameters: Parameters, live: Live) -> list[tuple[Release, float]]:
    """The challengers that may answer now, by the names of their arms, each with its share of all requests."""
    return [
        (release, share)
        for _, release in sorted(live.releases.items())
        if release.role == "challenger" and _reachable(parameters, release)
        if (share := min(parameters.arms[release.arm].share, release.greatest_share)) > 0
    ]


def unit_hash(text: str) -> float:
    """A number in [0, 1) that is uniform over texts."""
    return xxhash.xxh3_64_intdigest(text.encode()) / _SCALE


def _reachable(parameters: Parameters, release: Release) -> bool:
    arm = parameters.arms.get(release.arm)
    return arm is not None and arm.active and bool(arm.upstreams)
