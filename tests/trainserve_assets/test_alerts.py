"""Alerts, on a Dagster instance: one for one cause, told when it opens, gets worse, stays, and ends."""

from datetime import timedelta

import dagster as dg
import polars as pl
import time_machine

from lake.heartbeat import Heartbeat, find_heartbeat
from lake.home import Home
from tests.alerted import CHECK, ERROR, WARN, duty, each, kinds, say, tick, write_settings
from tests.parcel_log import LOG_FROM, append_log, labels_of, parcels_sent, two_arms, write_history, write_releases
from tests.parcel_training import Platform, failures
from tests.receivers import Hook
from tests.scenario import USE_CASE

AUTOMATED = {"dagster/from_automation_condition": "true"}


def test_a_finding_reaches_a_webhook_with_all_that_a_person_needs(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook, headers={"Authorization": "Bearer secret"}), playbook="https://git.example/playbook.md")
    metadata = {**each(("champion", True, 1.0), ("challenger", False, 1.6)), "remedy": "recalibrate", "rows": 900}
    say(empty, description="challenger: it is off", metadata=metadata)

    with hook.up():
        tick(empty)

    [posted] = hook.posted
    told = posted.body
    assert told["kind"] == "opened"
    assert (told["use_case"], told["asset"], told["check"], told["about"]) == (USE_CASE, "windows", CHECK, "challenger")
    assert (told["seen"], told["observed"], told["limit"]) == ("challenger is off", 1.6, 1.0)
    assert told["expected"].startswith("Since its package answers on an arm")
    assert (told["severity"], told["remedy"]) == ("error", "recalibrate")
    assert told["playbook"] == f"https://git.example/playbook.md#{CHECK}"
    assert told["since_utc"] == told["at_utc"]
    assert posted.headers["authorization"] == "Bearer secret"
    assert posted.headers["idempotency-key"] == told["id"]


def test_the_checks_of_a_run_reach_people_too(home: Home, instance: dg.DagsterInstance, hook: Hook) -> None:
    empty = Platform(home, instance)
    write_history(empty.home.lake, days=60, per_day=200)
    write_releases(empty.home)
    sent = parcels_sent(LOG_FROM, 14, 200, day_shock=0.05)
    append_log(empty.home.lake, two_arms(sent, 1 - pl.col("probability")), labels_of(sent))
    result = empty.run(["windows"])
    assert result.success, failures(result)
    write_settings(empty, duty(hook, least="error"))

    with hook.up():
        tick(empty)

    assert ("answers_beat_the_base_rate", "challenger") in {(one.body["check"], one.body["about"]) for one in hook.posted}
    assert {one.body["severity"] for one in hook.posted} == {"error"}


def test_an_alert_that_stays_open_is_told_once(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))

    with hook.up():
        for _ in range(3):
            say(empty)
            tick(empty)
            tick(empty)

    assert kinds(hook) == ["opened"]


def test_it_is_told_again_after_the_time_that_is_set(empty: Platform, hook: Hook, clock: time_machine.Traveller) -> None:
    write_settings(empty, duty(hook), remind_hours=6)
    say(empty)

    with hook.up():
        tick(empty)
        clock.shift(timedelta(hours=5))
        tick(empty)
        assert kinds(hook) == ["opened"]
        clock.shift(timedelta(hours=1))
        tick(empty)

    assert kinds(hook) == ["opened", "still open"]
    assert len({one.body["id"] for one in hook.posted}) == 2
    assert len({one.body["alert_id"] for one in hook.posted}) == 1


def test_it_is_told_again_when_it_gets_worse(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))

    with hook.up():
        for severity, observed in ((WARN, 1.1), (WARN, 1.15), (ERROR, 1.15), (ERROR, 1.29), (ERROR, 1.31), (WARN, 1.1)):
            say(empty, severity=severity, metadata={"observed": observed, "limit": 1.0})
            tick(empty)

    assert [(one.body["kind"], one.body["observed"]) for one in hook.posted] == [
        ("opened", 1.1),
        ("worse", 1.15),
        ("worse", 1.31),
    ]


def test_it_is_told_as_resolved_when_the_check_passes(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))

    with hook.up():
        say(empty)
        tick(empty)
        say(empty, passed=True, description="as it should be")
        book = tick(empty)
        tick(empty)

    assert kinds(hook) == ["opened", "resolved"]
    assert hook.posted[1].body["seen"] == "as it should be"
    assert hook.posted[0].body["alert_id"] == hook.posted[1].body["alert_id"]
    assert book.open == ()


def test_each_arm_has_an_alert_of_its_own(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))

    with hook.up():
        say(empty, metadata=each(("champion", False, 2.0), ("challenger", False, None)))
        tick(empty)
        say(empty, metadata=each(("champion", False, 2.0), ("challenger", True, 1.0)))
        tick(empty)
        say(empty, passed=True, metadata=each(("challenger", True, 1.0)))
        tick(empty)

    told = [(one.body["kind"], one.body["about"], one.body["severity"]) for one in hook.posted]
    assert sorted(told[:2]) == [("opened", "challenger", "warning"), ("opened", "champion", "error")]
    assert told[2:] == [("resolved", "challenger", "error"), ("resolved", "champion", "error")]
    assert hook.posted[3].body["seen"] == "the check speaks of it no more"


def test_a_failure_that_passed_before_anybody_looked_is_told_all_the_same(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))

    with hook.up():
        say(empty, passed=True)
        tick(empty)
        say(empty)
        say(empty, passed=True)
        book = tick(empty)

    assert book.open == ()
    assert kinds(hook) == ["opened", "resolved"]


def test_what_was_said_before_the_first_tick_counts_as_it_stands(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(hook))
    say(empty)
    say(empty, passed=True)
    say(empty, "inputs_look_like_training", severity=WARN)

    with hook.up():
        tick(empty)

    assert [(one.body["check"], one.body["kind"]) for one in hook.posted] == [("inputs_look_like_training", "opened")]


def test_each_tick_leaves_a_sign_of_life_for_those_who_watch_from_outside(
    empty: Platform, hook: Hook, clock: time_machine.Traveller
) -> None:
    write_settings(empty, duty(hook))
    say(empty)
    tick(empty)
    clock.shift(timedelta(seconds=30))
    tick(empty)

    assert find_heartbeat(empty.lake.store, USE_CASE) == Heartbeat(
        use_case=USE_CASE,
        at_utc="2026-03-01T12:00:30.000Z",
        open_errors=1,
        waiting=1,
        waits_since_utc="2026-03-01T12:00:00.000Z",
    )


def test_a_run_that_failed_and_so_made_no_checks_is_one_alert_until_they_are_made(
    home: Home, instance: dg.DagsterInstance, hook: Hook
) -> None:
    empty = Platform(home, instance)
    write_history(home.lake, days=30, per_day=50)
    write_settings(empty, duty(hook))
    assert not empty.run(["windows"], tags=AUTOMATED).success  # nothing is logged yet

    with hook.up():
        tick(empty)
        tick(empty)
        assert [(one.body["kind"], one.body["check"], one.body["asset"]) for one in hook.posted] == [
            ("opened", "checks_are_made", "windows")
        ]
        write_releases(home)
        append_log(home.lake, two_arms(parcels_sent(LOG_FROM, 3, 50), pl.col("probability")))
        assert empty.run(["windows"], tags=AUTOMATED).success
        tick(empty)

    told = [one.body["kind"] for one in hook.posted if one.body["check"] == "checks_are_made"]
    assert told == ["opened", "resolved"]


def test_a_run_that_a_person_launched_is_that_persons_to_watch(home: Home, instance: dg.DagsterInstance) -> None:
    empty = Platform(home, instance)
    assert not empty.run(["windows"]).success

    assert tick(empty).open == ()
