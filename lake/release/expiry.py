"""What the end of a release's time means for who serves it: the same words for predictor and proxy."""

from datetime import datetime, timedelta

from lake.release.live import Release
from lake.release.policy import Policy

AHEAD_DAYS = (1, 7, 30)
APPROVE_AGAIN = "An approver approves it again, or another candidate, by materializing the release asset."


def expired(release: Release, now: datetime) -> str | None:
    """That its time is over, and since when; None before."""
    return f"{_named(release)} expired at {release.expires_at_utc}" if release.expired(now) else None


def refused(release: Release, policy: Policy, now: datetime) -> str | None:
    """Why it may not answer any more, where the policy refuses what has expired; else None."""
    if policy.expired == "serve":
        return None
    over = expired(release, now)
    return over and f"{over}, and the policy lets no expired release answer"


def served_on(release: Release, policy: Policy, now: datetime) -> str | None:
    """That it answers although its time is over, where the policy serves what has expired; else None."""
    if policy.expired == "refuse":
        return None
    over = expired(release, now)
    return over and f"{over} and is served on, as the policy says. {APPROVE_AGAIN}"


def ahead(release: Release, now: datetime) -> str | None:
    """That it expires within 30, 7 or 1 days, the same words until the next is reached; None before and afterwards."""
    remaining = release.remaining(now)
    if remaining is None or remaining <= timedelta():
        return None
    within = next((days for days in AHEAD_DAYS if remaining <= timedelta(days=days)), None)
    if within is None:
        return None
    span = "1 day" if within == 1 else f"{within} days"
    return f"{_named(release)} expires at {release.expires_at_utc}, within {span}. {APPROVE_AGAIN}"


def remaining_s(release: Release | None, now: datetime) -> float:
    """Seconds until it expires, negative afterwards; NaN where there is none, or it never does."""
    remaining = None if release is None else release.remaining(now)
    return float("nan") if remaining is None else remaining.total_seconds()


def _named(release: Release) -> str:
    return f"release {release.seq} on arm {release.arm!r}, {release.model_version},"
