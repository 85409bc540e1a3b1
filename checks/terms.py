"""Whether what was meant for a time is over in time: releases that expire, and parameters that an incident left behind."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from checks.verdict import Remedy, Verdict
from lake.parameters.document import Parameters
from lake.parameters.rules import Refuse, Rule
from lake.release.live import Live
from lake.times import utc

# A version that does not say when it was made is as old as can be.
_LONG_AGO = "1970-01-01T00:00:00+00:00"


def releases_last(live: Live, now: datetime, fewest_days: float) -> Verdict:
    """Whether no live release has expired, or does within so many days; `observed` are the days of the first."""
    terms = {one.arm: left for one in live.releases.values() if (left := one.remaining(now)) is not None}
    if not live.releases:
        return Verdict(passed=False, reason="nothing is live", limit=fewest_days)
    if not terms:
        return Verdict(passed=True, reason=f"none of {len(live.releases)} live releases ever expires", rows=len(live.releases))
    arm = min(terms, key=lambda one: terms[one])
    release, days = live.releases[arm], terms[arm] / timedelta(days=1)
    passed = days >= fewest_days
    when = f"expired {-days:.1f} days ago" if days < 0 else f"expires in {days:.1f} days"
    advice = "" if passed else ": approve it again, or another candidate"
    reason = f"release {release.seq} on arm {arm!r} {when}, at {release.expires_at_utc}{advice}"
    return Verdict(
        passed=passed,
        reason=reason,
        observed=days,
        limit=fewest_days,
        rows=len(live.releases),
        remedy=None if passed else "retrain",
    )


def changes_are_temporary(history: Sequence[Parameters], now: datetime, longest_days: float) -> Verdict:
    """Whether nothing that stops, refuses or changes answers has stood in the parameters for longer than so many days.

    `history` has the versions in order. A rule counts from the version on since which it has been there without a change.
    """
    if not history:
        return Verdict(
            passed=True, reason="nothing was ever changed: the parameters are those of the environment", limit=longest_days
        )
    exceptions = _exceptions(history[-1])
    standing = {what: (now - _since(history, one.holds)) / timedelta(days=1) for what, one in exceptions.items()}
    if not standing:
        reason = f"nothing in version {history[-1].version} stops, refuses or changes answers"
        return Verdict(passed=True, reason=reason, observed=0.0, limit=longest_days, rows=len(history))
    oldest = max(standing, key=lambda what: standing[what])
    longest = standing[oldest]
    late = [what for what, days in standing.items() if days > longest_days]
    named = ", ".join(f"{what} for {standing[what]:.0f} days" for what in late or standing)
    advice = "; take it back, or train and release a model that needs no such thing" if late else ""
    reason = f"in force are {named}; {longest_days:g} days are allowed{advice}"
    return Verdict(
        passed=not late,
        reason=reason,
        observed=longest,
        limit=longest_days,
        rows=len(history),
        remedy=exceptions[oldest].remedy if late else None,
    )


class _Exception(NamedTuple):
    """Whether a version has it too, and what makes it needless."""

    holds: Callable[[Parameters], bool]
    remedy: Remedy


def _exceptions(newest: Parameters) -> dict[str, _Exception]:
    """What in a version is none of everyday, by its words."""
    found: dict[str, _Exception] = {}
    if not newest.active:
        found["the stop of the use case"] = _Exception(_stopped, "roll back")
    for name, arm in newest.arms.items():
        if not arm.active:
            found[f"the stop of arm {name!r}"] = _Exception(partial(_arm_stopped, name), "roll back")
    for rule in newest.rules:
        if rule.changes_meaning:
            found[f"rule {rule.name!r}"] = _Exception(partial(_has_rule, rule), "retrain")
        elif any(isinstance(effect, Refuse) for effect in rule.then):
            found[f"rule {rule.name!r}"] = _Exception(partial(_has_rule, rule), "fix the source")
    return found


def _stopped(one: Parameters) -> bool:
    return not one.active


def _arm_stopped(name: str, one: Parameters) -> bool:
    return name in one.arms and not one.arms[name].active


def _has_rule(rule: Rule, one: Parameters) -> bool:
    return rule in one.rules


def _since(history: Sequence[Parameters], holds: Callable[[Parameters], bool]) -> datetime:
    """When the first of the newest versions that all have it was made."""
    first = history[-1]
    for one in reversed(history):
        if not holds(one):
            break
        first = one
    return utc(first.changed_at_utc or _LONG_AGO)
