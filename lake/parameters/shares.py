"""Shares through time: pure functions of an arm's parameters, its release and the moment."""

from datetime import datetime

from lake.parameters.document import Arm
from lake.release.live import Release


def planned_share(arm: Arm, now: datetime) -> float:
    """What the parameters give the arm at this moment, whatever its release allows."""
    if arm.ramp is None:
        return arm.share
    return next((step.share for step in reversed(arm.ramp.steps) if step.at_utc <= now), arm.share)


def greatest_planned_share(arm: Arm) -> float:
    """The most that it will ever be given by these parameters."""
    return max([arm.share, *(step.share for step in arm.ramp.steps)]) if arm.ramp else arm.share


def share_of(arm: Arm, release: Release, now: datetime) -> float:
    """The arm's share of all requests now: never more than its release allows, unless that was signed for this very release."""
    return min(planned_share(arm, now), allowed_share(arm, release))


def allowed_share(arm: Arm, release: Release) -> float:
    """The most of all requests that the arm may be given, by shares, by rules or as a fallback."""
    return 1.0 if arm.beyond_release == release.seq else release.greatest_share
