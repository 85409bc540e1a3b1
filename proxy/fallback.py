"""Which arm answers where others have failed: a pure function, and never past what a person allowed."""

from collections.abc import Collection

from lake.parameters import Parameters
from lake.release.live import Live, Release
from proxy.routing import Route


def fallback(parameters: Parameters, live: Live, failed: Collection[str], named: str | None) -> Route | None:
    """The route instead of arms that failed; None where no other may answer.

    The champion answers for a challenger, and the arm that the parameters name for the champion. That one may have to take
    all requests: a challenger does so only if its release allows it, a shadow never.
    """
    for release in (live.champion, None if named is None else live.on(named)):
        if release is not None and release.arm not in failed and _may_take_all(release) and _reachable(parameters, release.arm):
            return Route(release, "fallback")
    return None


def _may_take_all(release: Release) -> bool:
    return release.role == "champion" or (release.role == "challenger" and release.greatest_share >= 1)


def _reachable(parameters: Parameters, name: str) -> bool:
    arm = parameters.arms.get(name)
    return arm is not None and arm.active and bool(arm.upstreams)
