"""The claims `releases_last` and `changes_are_temporary`."""

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from checks.terms import changes_are_temporary, releases_last
from lake.parameters.document import Arm, Parameters
from lake.parameters.rules import Compare, Refuse, Rule, Shift, Threshold, UseArm
from lake.release.live import Live, Release

NOW = datetime(2013, 9, 1, tzinfo=timezone.utc)
HEAVY = Compare(field="weight_kg", by=">", value=100)
SHIFT = Rule(name="shift", when=HEAVY, then=(Shift(by=0.1),))


def release(arm: str, days_left: float | None) -> Release:
    return Release(
        seq=1,
        at_utc="2013-06-30T00:00:00+00:00",
        role="champion",
        arm=arm,
        package_digest="a" * 64,
        evaluation_id="e" * 64,
        model_version="trees 1.0.0-1.1",
        approvers=("ada",),
        identity="claimed",
        greatest_share=1.0,
        expires_at_utc=None if days_left is None else (NOW + timedelta(days=days_left)).isoformat(),
    )


@pytest.mark.parametrize(
    ("days", "passed", "said"),
    [
        ([90.0, None], True, "release 1 on arm '0' expires in 90.0 days"),
        ([90.0, 10.0], False, "release 1 on arm '1' expires in 10.0 days"),
        ([-2.0], False, "release 1 on arm '0' expired 2.0 days ago"),
        ([None], True, "none of 1 live releases ever expires"),
        ([], False, "nothing is live"),
    ],
)
def test_a_release_that_ends_soon_or_has_ended_is_named(days: list[float | None], *, passed: bool, said: str) -> None:
    live = Live({str(number): release(str(number), left) for number, left in enumerate(days)})

    verdict = releases_last(live, NOW, 14.0)

    assert verdict.passed is passed
    assert verdict.reason.startswith(said)
    assert verdict.remedy == ("retrain" if not passed and days else None)


def versions(*changes: dict[str, Any]) -> list[Parameters]:
    """One version every twenty days up to today."""
    first = NOW - timedelta(days=20 * (len(changes) - 1))
    return [
        Parameters(
            use_case="late_parcel", version=number + 1, changed_at_utc=(first + timedelta(days=20 * number)).isoformat(), **one
        )
        for number, one in enumerate(changes)
    ]


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"active": False}, "the stop of the use case", "roll back"),
        ({"arms": {"challenger": Arm(active=False)}}, "the stop of arm 'challenger'", "roll back"),
        ({"rules": (SHIFT,)}, "rule 'shift'", "retrain"),
        ({"rules": (Rule(name="no", when=HEAVY, then=(Refuse(why="too heavy"),)),)}, "rule 'no'", "fix the source"),
        ({"rules": (Rule(name="decide", when=HEAVY, then=(Threshold(at=0.4),)),)}, "rule 'decide'", "retrain"),
    ],
)
def test_what_stops_refuses_or_changes_answers_counts_from_the_version_since_which_it_is_there(
    change: dict[str, Any], what: str, remedy: str
) -> None:
    young, old = (
        changes_are_temporary(versions({}, change), NOW, 30.0),
        changes_are_temporary(versions(change, change, change), NOW, 30.0),
    )

    assert (young.passed, young.remedy) == (True, None)
    assert (old.passed, old.observed, old.remedy) == (False, 40.0, remedy)
    assert old.reason.startswith(f"in force are {what} for 40 days; 30 days are allowed")


def test_a_rule_that_was_changed_or_away_in_between_counts_anew() -> None:
    other = msgspec.structs.replace(SHIFT, then=(Shift(by=0.2),))

    assert (
        changes_are_temporary(versions({"rules": (SHIFT,)}, {"rules": (other,)}, {"rules": (SHIFT,)}), NOW, 30.0).observed == 0.0
    )


def test_what_is_gone_everyday_or_was_never_there_passes() -> None:
    routes = Rule(name="routes", when=HEAVY, then=(UseArm(arm="challenger"),))

    assert changes_are_temporary(versions({"rules": (SHIFT,)}, {}), NOW, 30.0).passed
    assert changes_are_temporary(versions({"rules": (routes,)}, {"rules": (routes,)}, {"rules": (routes,)}), NOW, 30.0).passed
    assert changes_are_temporary([], NOW, 30.0).passed
