"""Alerts, on a Dagster instance and with real receivers: what checks find reaches people, once, whoever is down meanwhile."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pytest
import time_machine

from lake.heartbeat import Heartbeat, find_heartbeat
from lake.home import Home
from tests.parcel_log import LOG_FROM, append_log, labels_of, parcels_sent, two_arms, write_history, write_releases
from tests.parcel_training import Platform, failures
from tests.receivers import Hook, MailServer
from tests.scenario import USE_CASE
from trainserve_assets.alerts import round as rounds
from trainserve_assets.alerts.book import AlertBook, read_book

CHECK = "answers_are_calibrated"
START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture
def watched(home: Home) -> Iterator[Platform]:
    """A platform with nothing in it yet, on an instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(home, instance)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that a test moves."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture
def hook() -> Hook:
    return Hook()


def write_settings(platform: Platform, *receivers: Mapping[str, Any], **settings: Any) -> None:
    platform.home.alerts.parent.mkdir(parents=True, exist_ok=True)
    platform.home.alerts.write_bytes(msgspec.yaml.encode({"receivers": receivers, **settings}))


def duty(hook: Hook, **changes: Any) -> dict[str, Any]:
    return {"kind": "webhook", "name": "duty", "url": hook.url, **changes}


def say(
    platform: Platform, check: str = CHECK, *, passed: bool = False, severity: dg.AssetCheckSeverity = ERROR, **words: Any
) -> None:
    """Let a check say something, as a run or a sensor of it would."""
    evaluation = dg.AssetCheckEvaluation(
        asset_key=platform.key("windows"), check_name=check, passed=passed, severity=severity, **{"metadata": {}, **words}
    )
    platform.instance.report_runless_asset_event(evaluation)


def each(*arms: tuple[str, bool, float | None]) -> dict[str, Any]:
    """The table of a check that judged several arms."""
    rows = [
        {"about": arm, "passed": passed, "reason": f"{arm} is {'well' if passed else 'off'}", "observed": observed, "limit": 1.0}
        for arm, passed, observed in arms
    ]
    return {"each": dg.MetadataValue.table([dg.TableRecord(row) for row in rows])}


def tick(platform: Platform) -> AlertBook:
    """One evaluation of the sensor; the book after it."""
    definitions = platform.definitions
    [sensor] = [one for one in definitions.sensors or [] if one.name == f"{USE_CASE}_alerts"]
    assert isinstance(sensor, dg.SensorDefinition)
    context = dg.build_sensor_context(
        platform.instance, resources={"lake": platform.lake}, repository_def=definitions.get_repository_def()
    )
    said = sensor(context)
    assert isinstance(said, dg.SkipReason)
    return read_book(platform.lake.store, USE_CASE)


def kinds(hook: Hook) -> list[str]:
    return [one.body["kind"] for one in hook.posted]


def test_a_finding_reaches_a_webhook_with_all_that_a_person_needs(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook, headers={"Authorization": "Bearer secret"}), playbook="https://git.example/playbook.md")
    metadata = {**each(("champion", True, 1.0), ("challenger", False, 1.6)), "remedy": "recalibrate", "rows": 900}
    say(watched, description="challenger: it is off", metadata=metadata)

    with hook.up():
        tick(watched)

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
    watched = Platform(home, instance)
    write_history(watched.home.lake, days=60, per_day=200)
    write_releases(watched.home)
    sent = parcels_sent(LOG_FROM, 14, 200, day_shock=0.05)
    append_log(watched.home.lake, two_arms(sent, 1 - pl.col("probability")), labels_of(sent))
    result = watched.run(["windows"])
    assert result.success, failures(result)
    write_settings(watched, duty(hook, least="error"))

    with hook.up():
        tick(watched)

    assert ("answers_beat_the_base_rate", "challenger") in {(one.body["check"], one.body["about"]) for one in hook.posted}
    assert {one.body["severity"] for one in hook.posted} == {"error"}


def test_an_alert_that_stays_open_is_told_once(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))

    with hook.up():
        for _ in range(3):
            say(watched)
            tick(watched)
            tick(watched)

    assert kinds(hook) == ["opened"]


def test_it_is_told_again_after_the_time_that_is_set(watched: Platform, hook: Hook, clock: time_machine.Traveller) -> None:
    write_settings(watched, duty(hook), remind_hours=6)
    say(watched)

    with hook.up():
        tick(watched)
        clock.shift(timedelta(hours=5))
        tick(watched)
        assert kinds(hook) == ["opened"]
        clock.shift(timedelta(hours=1))
        tick(watched)

    assert kinds(hook) == ["opened", "still open"]
    assert len({one.body["id"] for one in hook.posted}) == 2
    assert len({one.body["alert_id"] for one in hook.posted}) == 1


def test_it_is_told_again_when_it_gets_worse(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))

    with hook.up():
        for severity, observed in ((WARN, 1.1), (WARN, 1.15), (ERROR, 1.15), (ERROR, 1.29), (ERROR, 1.31), (WARN, 1.1)):
            say(watched, severity=severity, metadata={"observed": observed, "limit": 1.0})
            tick(watched)

    assert [(one.body["kind"], one.body["observed"]) for one in hook.posted] == [
        ("opened", 1.1),
        ("worse", 1.15),
        ("worse", 1.31),
    ]


def test_it_is_told_as_resolved_when_the_check_passes(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))

    with hook.up():
        say(watched)
        tick(watched)
        say(watched, passed=True, description="as it should be")
        book = tick(watched)
        tick(watched)

    assert kinds(hook) == ["opened", "resolved"]
    assert hook.posted[1].body["seen"] == "as it should be"
    assert hook.posted[0].body["alert_id"] == hook.posted[1].body["alert_id"]
    assert book.open == ()


def test_each_arm_has_an_alert_of_its_own(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))

    with hook.up():
        say(watched, metadata=each(("champion", False, 2.0), ("challenger", False, None)))
        tick(watched)
        say(watched, metadata=each(("champion", False, 2.0), ("challenger", True, 1.0)))
        tick(watched)
        say(watched, passed=True, metadata=each(("challenger", True, 1.0)))
        tick(watched)

    told = [(one.body["kind"], one.body["about"], one.body["severity"]) for one in hook.posted]
    assert sorted(told[:2]) == [("opened", "challenger", "warning"), ("opened", "champion", "error")]
    assert told[2:] == [("resolved", "challenger", "error"), ("resolved", "champion", "error")]
    assert hook.posted[3].body["seen"] == "the check speaks of it no more"


def test_a_failure_that_passed_before_anybody_looked_is_told_all_the_same(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))

    with hook.up():
        say(watched, passed=True)
        tick(watched)
        say(watched)
        say(watched, passed=True)
        book = tick(watched)

    assert book.open == ()
    assert kinds(hook) == ["opened", "resolved"]


def test_what_was_said_before_the_first_tick_counts_as_it_stands(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(hook))
    say(watched)
    say(watched, passed=True)
    say(watched, "inputs_look_like_training", severity=WARN)

    with hook.up():
        tick(watched)

    assert [(one.body["check"], one.body["kind"]) for one in hook.posted] == [("inputs_look_like_training", "opened")]


def test_a_receiver_that_was_down_gets_everything_in_order_once_it_is_back(
    watched: Platform, hook: Hook, clock: time_machine.Traveller
) -> None:
    write_settings(watched, duty(hook))
    say(watched)
    tick(watched)
    clock.shift(timedelta(seconds=40))
    say(watched, passed=True)
    [opened, resolved] = tick(watched).waiting
    assert (opened.kind, opened.attempts, opened.why) == ("opened", 2, "127.0.0.1 cannot be reached (ConnectError)")
    assert (resolved.kind, resolved.attempts) == ("resolved", 0)

    with hook.up():
        tick(watched)
        assert kinds(hook) == []  # the pause has grown to a minute
        clock.shift(timedelta(minutes=1))
        tick(watched)
        book = tick(watched)

    assert kinds(hook) == ["opened", "resolved"]
    assert book.waiting == ()
    assert [one.delivered_at_utc for one in book.delivered] == ["2026-03-01T12:01:40.000Z"] * 2


def test_pauses_grow_to_an_hour_and_reminders_do_not_pile_up(
    watched: Platform, hook: Hook, clock: time_machine.Traveller
) -> None:
    write_settings(watched, duty(hook), remind_hours=1)
    say(watched)
    pauses = []
    for _ in range(10):
        [notice] = tick(watched).waiting
        before = datetime.now(timezone.utc)
        clock.move_to(notice.next_try_utc or "")
        pauses.append((datetime.now(timezone.utc) - before).total_seconds())

    with hook.up():
        tick(watched)

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert kinds(hook) == ["opened"]


def test_one_receiver_that_is_down_keeps_no_other_from_hearing(watched: Platform, hook: Hook) -> None:
    write_settings(watched, duty(Hook(), name="down"), duty(hook))
    say(watched)
    say(watched, "inputs_look_like_training")

    with hook.up():
        waiting = tick(watched).waiting

    assert kinds(hook) == ["opened", "opened"]
    assert [(one.receiver, one.attempts) for one in waiting] == [("down", 1), ("down", 0)]


def test_a_receiver_that_refuses_is_asked_again(watched: Platform, clock: time_machine.Traveller) -> None:
    hook = Hook([500, 302, 204])
    write_settings(watched, duty(hook))
    say(watched)

    with hook.up():
        reasons = []
        for _ in range(3):
            reasons += [one.why for one in tick(watched).waiting]
            clock.shift(timedelta(hours=2))
        book = tick(watched)

    assert reasons == ["127.0.0.1 answered with status 500", "127.0.0.1 answered with status 302"]
    assert book.waiting == ()
    assert len({one.headers["idempotency-key"] for one in hook.posted}) == 1


def test_a_daemon_that_is_killed_after_a_delivery_repeats_it_under_the_same_id(
    watched: Platform, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(watched, duty(hook))
    say(watched)
    with hook.up():
        with monkeypatch.context() as patched:
            patched.setattr(AlertBook, "tried", _killed)
            with pytest.raises(KeyboardInterrupt):
                tick(watched)
        tick(watched)
        tick(watched)

    assert kinds(hook) == ["opened", "opened"]
    assert len({one.body["id"] for one in hook.posted}) == 1


def test_a_daemon_that_is_killed_before_the_book_is_kept_loses_nothing(
    watched: Platform, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(watched, duty(hook))
    say(watched)
    with hook.up():
        with monkeypatch.context() as patched:
            patched.setattr(rounds, "write_book", _killed)
            with pytest.raises(KeyboardInterrupt):
                tick(watched)
        assert hook.posted == []
        tick(watched)

    assert kinds(hook) == ["opened"]


def test_a_receiver_that_is_named_later_hears_of_what_is_open(watched: Platform, hook: Hook) -> None:
    say(watched)
    assert len(tick(watched).open) == 1
    write_settings(watched, duty(hook))

    with hook.up():
        tick(watched)

    assert kinds(hook) == ["opened"]


def test_receivers_hear_only_what_they_asked_for(watched: Platform) -> None:
    all_hooks = loud, other, every = Hook(), Hook(), Hook()
    wanting = (duty(loud, name="loud", least="error"), duty(other, name="other", use_cases=["another"]), duty(every))
    write_settings(watched, *wanting)

    with loud.up(), other.up(), every.up():
        say(watched, severity=WARN)
        tick(watched)
        assert [kinds(hook) for hook in all_hooks] == [[], [], ["opened"]]
        say(watched, severity=ERROR)
        tick(watched)

    assert [kinds(hook) for hook in all_hooks] == [["opened"], [], ["opened", "worse"]]


def test_slack_gets_its_own_format_and_no_mention_that_nobody_wrote(watched: Platform, hook: Hook) -> None:
    write_settings(watched, {"kind": "slack", "name": "channel", "url": hook.url})
    say(watched, description="<!channel> 3 < 4", metadata={"observed": 0.5, "limit": 1.0, "remedy": "fix the source"})

    with hook.up():
        tick(watched)

    [posted] = hook.posted
    assert posted.body["text"] == f"[error] {USE_CASE}: {CHECK} began"
    texts = [block["text"]["text"] for block in posted.body["blocks"] if "text" in block]
    assert texts[1] == "&lt;!channel&gt; 3 &lt; 4"
    assert "*Remedy*: fix the source" in texts[2]
    assert f"*Playbook*: docs/playbook.md#{CHECK}" in texts[2]


def mail(server: MailServer, **changes: Any) -> dict[str, Any]:
    people = {"sender": "monitor@example.org", "to": ["ada@example.org", "bob@example.org"]}
    return {"kind": "mail", "name": "team", "host": "127.0.0.1", "port": server.port, "security": "none", **people, **changes}


def test_people_get_an_email_and_all_of_one_alert_are_one_thread(watched: Platform) -> None:
    server = MailServer()
    write_settings(watched, mail(server))
    with server.up():
        say(watched, description="too much is predicted", metadata={"remedy": "recalibrate"})
        tick(watched)
        say(watched, passed=True)
        tick(watched)

    [(to, first), (_, second)] = server.mails
    assert to == ["ada@example.org", "bob@example.org"]
    assert first["subject"] == f"[error] {USE_CASE}: {CHECK} began"
    assert first["references"] == second["references"]
    assert first["message-id"] != second["message-id"]
    text = first.get_payload()
    assert isinstance(text, str)
    assert "What was seen: too much is predicted" in text
    assert "Remedy: recalibrate" in text


def test_a_mail_server_that_was_down_gets_the_mail_once_it_is_back(watched: Platform, clock: time_machine.Traveller) -> None:
    server = MailServer()
    write_settings(watched, mail(server))
    say(watched)
    [waiting] = tick(watched).waiting
    assert "127.0.0.1 cannot be reached" in waiting.why

    clock.shift(timedelta(seconds=30))
    with server.up():
        book = tick(watched)

    assert book.waiting == ()
    assert len(server.mails) == 1


def test_an_address_that_is_refused_keeps_no_other_from_the_mail(watched: Platform) -> None:
    server = MailServer("bob@example.org")
    write_settings(watched, mail(server))
    say(watched)

    with server.up():
        [delivered] = tick(watched).delivered

    assert [to for to, _ in server.mails] == [["ada@example.org"]]
    assert delivered.why == "refused: bob@example.org"


def test_no_mail_goes_in_the_clear_where_encryption_is_asked_for(watched: Platform) -> None:
    server = MailServer()
    write_settings(watched, mail(server, security="starttls"))
    say(watched)

    with server.up():
        [waiting] = tick(watched).waiting

    assert "STARTTLS" in waiting.why
    assert server.mails == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_each_tick_leaves_a_sign_of_life_for_those_who_watch_from_outside(
    watched: Platform, hook: Hook, clock: time_machine.Traveller
) -> None:
    write_settings(watched, duty(hook))
    say(watched)
    tick(watched)
    clock.shift(timedelta(seconds=30))
    tick(watched)

    assert find_heartbeat(watched.lake.store, USE_CASE) == Heartbeat(
        use_case=USE_CASE,
        at_utc="2026-03-01T12:00:30.000Z",
        open_errors=1,
        waiting=1,
        waits_since_utc="2026-03-01T12:00:00.000Z",
    )
