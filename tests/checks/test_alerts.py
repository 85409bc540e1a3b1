"""When an alert opens, what ends it, and when a receiver is told again: pure decisions."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from checks.alerts import Evaluated, Severity, Statement, Telling, Told, due, followed, opened, told_now
from lake.times import rfc3339

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
TELLING = Telling(again_after=timedelta(hours=24), worse_by=2.0)


def said(about: str = "champion", *, passed: bool = False, **changes: Any) -> Statement:
    facts = {"use_case": "parcels", "asset": "windows", "check": "calibrated", "at_utc": rfc3339(NOW)}
    return Statement(**{**facts, "about": about, "passed": passed, **changes})


def evaluated(*statements: Statement, check: str = "calibrated") -> Evaluated:
    return Evaluated(asset="windows", check=check, at_utc=rfc3339(NOW), statements=statements)


def test_a_cause_has_one_alert_however_often_it_fails() -> None:
    [alert], _ = followed([], evaluated(said()))
    later = rfc3339(NOW + timedelta(hours=1))

    [same], ended = followed([alert], evaluated(said(at_utc=later, seen="more")))

    assert (same.id, same.since_utc, same.statement.seen, ended) == (alert.id, rfc3339(NOW), "more", [])


def test_what_passes_or_is_spoken_of_no_more_has_ended() -> None:
    alerts, _ = followed([], evaluated(said("a"), said("b"), said("c")))

    still, ended = followed(alerts, evaluated(said("a"), said("b", passed=True, seen="well")))

    assert [one.statement.about for one in still] == ["a"]
    assert {one.statement.about: one.statement.seen for one in ended} == {"b": "well", "c": "the check speaks of it no more"}


def test_another_check_changes_nothing() -> None:
    alerts, _ = followed([], evaluated(said()))

    assert followed(alerts, evaluated(said(check="skilled", passed=True), check="skilled")) == (alerts, [])


def test_an_evaluation_that_passes_opens_nothing() -> None:
    assert followed([], evaluated(said(passed=True))) == ([], [])


def test_the_same_evaluation_opens_the_same_alert() -> None:
    assert opened(said()).id == opened(said()).id
    assert opened(said()).id != opened(said("challenger")).id


@pytest.mark.parametrize(
    ("told", "severity", "observed", "hours", "kind"),
    [
        (None, "warning", None, 0.0, "opened"),
        (("warning", 1.0), "warning", 1.9, 1.0, None),
        (("warning", 1.0), "warning", 2.0, 1.0, "worse"),
        (("warning", 1.0), "error", 1.0, 1.0, "worse"),
        (("error", 1.0), "warning", 9.0, 1.0, None),
        (("warning", 0.0), "warning", 9.0, 1.0, None),
        (("warning", None), "warning", 9.0, 1.0, None),
        (("warning", 1.0), "warning", None, 1.0, None),
        (("warning", 1.0), "warning", 1.0, 24.0, "still open"),
        (("warning", 1.0), "error", 1.0, 24.0, "worse"),
    ],
)
def test_a_receiver_is_told_when_it_opens_gets_worse_or_stays(
    told: tuple[Severity, float | None] | None, severity: Severity, observed: float | None, hours: float, kind: str | None
) -> None:
    alert = opened(said(severity=severity, observed=observed, limit=0.0))
    before = None if told is None else Told(at_utc=rfc3339(NOW), severity=told[0], distance=told[1])

    assert due(alert, before, NOW + timedelta(hours=hours), TELLING) == kind


def test_what_was_told_is_counted() -> None:
    alert = opened(said(observed=3.0, limit=1.0))
    first = told_now(alert, None, NOW)

    assert (first.times, first.distance, told_now(alert, first, NOW).times) == (1, 2.0, 2)
