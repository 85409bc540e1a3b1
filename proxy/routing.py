"""Which arm answers: a pure function of parameters, live releases and the request's key."""

import math
from typing import Literal

import msgspec
import xxhash

from lake.parameters import Parameters
from lake.releases import Live, Release

Rule = Literal["champion", "share"]

_SCALE = float(2**64)


class Route(msgspec.Struct, frozen=True):
    """The release that answers, and the rule that chose it."""

    release: Release
    rule: Rule


def choose(parameters: Parameters, live: Live, key: str) -> Route | None:
    """The route of a key, the same each time while parameters and releases stay; None while there is no champion.

    A challenger's share is what the parameters say, never above what its release allows. Whether a key is exposed to
    any challenger, and to which one, are hashed apart: raising a share moves only keys of the champion.
    """
    champion = live.champion
    if champion is None or not _reachable(parameters, champion):
        return None
    shares = challenger_shares(parameters, live)
    if not shares or unit_hash(f"{parameters.salt}:exposure:{key}") >= sum(share for _, share in shares):
        return Route(champion, "champion")
    return Route(_rendezvous(parameters.salt, key, shares), "share")


def challenger_shares(parameters: Parameters, live: Live) -> list[tuple[Release, float]]:
    """The challengers that may answer now, each with its share of all requests."""
    return [
        (release, share)
        for release in live.releases.values()
        if release.role == "challenger" and _reachable(parameters, release)
        if (share := min(parameters.arms[release.arm].share, release.greatest_share)) > 0
    ]


def unit_hash(text: str) -> float:
    """A number in [0, 1) that is uniform over texts."""
    return xxhash.xxh3_64_intdigest(text.encode()) / _SCALE


def _rendezvous(salt: str, key: str, shares: list[tuple[Release, float]]) -> Release:
    """Weighted rendezvous hashing: each challenger wins the part of the keys that its weight says."""

    def score(weighted: tuple[Release, float]) -> float:
        release, weight = weighted
        return -weight / math.log(max(unit_hash(f"{salt}:variant:{release.arm}:{key}"), 1 / _SCALE))

    return max(shares, key=score)[0]


def _reachable(parameters: Parameters, release: Release) -> bool:
    arm = parameters.arms.get(release.arm)
    return arm is not None and arm.active and bool(arm.upstreams)
