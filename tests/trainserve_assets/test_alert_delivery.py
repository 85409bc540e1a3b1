"""Delivery of alerts to real receivers: each has every notice in the end, whoever is down or killed meanwhile."""

from datetime import datetime, timedelta, timezone

import pytest
import time_machine

from tests.alerted import CHECK, ERROR, WARN, duty, kinds, mail, say, tick, write_settings
from tests.parcel_training import Platform
from tests.receivers import Hook, MailServer
from tests.scenario import USE_CASE
from trainserve_assets.alerts import round as rounds
from trainserve_assets.alerts.book import AlertBook


def test_a_receiver_that_was_down_gets_everything_in_order_once_it_is_back(
    empty: Platform, hook: Hook, clock: time_machine.Traveller
) -> None:
    write_settings(empty, duty(hook))
    say(empty)
    tick(empty)
    clock.shift(timedelta(seconds=40))
    say(empty, passed=True)
    [opened, resolved] = tick(empty).waiting
    assert (opened.kind, opened.attempts, opened.why) == ("opened", 2, "127.0.0.1 cannot be reached (ConnectError)")
    assert (resolved.kind, resolved.attempts) == ("resolved", 0)

    with hook.up():
        tick(empty)
        assert kinds(hook) == []  # the pause has grown to a minute
        clock.shift(timedelta(minutes=1))
        tick(empty)
        book = tick(empty)

    assert kinds(hook) == ["opened", "resolved"]
    assert book.waiting == ()
    assert [one.delivered_at_utc for one in book.delivered] == ["2026-03-01T12:01:40.000Z"] * 2


def test_pauses_grow_to_an_hour_and_reminders_do_not_pile_up(empty: Platform, hook: Hook, clock: time_machine.Traveller) -> None:
    write_settings(empty, duty(hook), remind_hours=1)
    say(empty)
    pauses = []
    for _ in range(10):
        [notice] = tick(empty).waiting
        before = datetime.now(timezone.utc)
        clock.move_to(notice.next_try_utc or "")
        pauses.append((datetime.now(timezone.utc) - before).total_seconds())

    with hook.up():
        tick(empty)

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert kinds(hook) == ["opened"]


def test_one_receiver_that_is_down_keeps_no_other_from_hearing(empty: Platform, hook: Hook) -> None:
    write_settings(empty, duty(Hook(), name="down"), duty(hook))
    say(empty)
    say(empty, "inputs_look_like_training")

    with hook.up():
        waiting = tick(empty).waiting

    assert kinds(hook) == ["opened", "opened"]
    assert [(one.receiver, one.attempts) for one in waiting] == [("down", 1), ("down", 0)]


def test_a_receiver_that_refuses_is_asked_again(empty: Platform, clock: time_machine.Traveller) -> None:
    hook = Hook([500, 302, 204])
    write_settings(empty, duty(hook))
    say(empty)

    with hook.up():
        reasons = []
        for _ in range(3):
            reasons += [one.why for one in tick(empty).waiting]
            clock.shift(timedelta(hours=2))
        book = tick(empty)

    assert reasons == ["127.0.0.1 answered with status 500", "127.0.0.1 answered with status 302"]
    assert book.waiting == ()
    assert len({one.headers["idempotency-key"] for one in hook.posted}) == 1


def test_a_daemon_that_is_killed_after_a_delivery_repeats_it_under_the_same_id(
    empty: Platform, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(empty, duty(hook))
    say(empty)
    with hook.up():
        with monkeypatch.context() as patched:
            patched.setattr(AlertBook, "tried", _killed)
            with pytest.raises(KeyboardInterrupt):
                tick(empty)
        tick(empty)
        tick(empty)

    assert kinds(hook) == ["opened", "opened"]
    assert len({one.body["id"] for one in hook.posted}) == 1


def test_a_daemon_that_is_killed_before_the_book_is_kept_loses_nothing(
    empty: Platform, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(empty, duty(hook))
    say(empty)
    with hook.up():
        with monkeypatch.context() as patched:
            patched.setattr(rounds, "write_book", _killed)
            with pytest.raises(KeyboardInterrupt):
                tick(empty)
        assert hook.posted == []
        tick(empty)

    assert kinds(hook) == ["opened"]


def test_a_receiver_that_is_named_later_hears_of_what_is_open(empty: Platform, hook: Hook) -> None:
    say(empty)
    assert len(tick(empty).open) == 1
    write_settings(empty, duty(hook))

    with hook.up():
        tick(empty)

    assert kinds(hook) == ["opened"]


def test_receivers_hear_only_what_they_asked_for(empty: Platform) -> None:
    all_hooks = loud, other, every = Hook(), Hook(), Hook()
    wanting = (duty(loud, name="loud", least="error"), duty(other, name="other", use_cases=["another"]), duty(every))
    write_settings(empty, *wanting)

    with loud.up(), other.up(), every.up():
        say(empty, severity=WARN)
        tick(empty)
        assert [kinds(hook) for hook in all_hooks] == [[], [], ["opened"]]
        say(empty, severity=ERROR)
        tick(empty)

    assert [kinds(hook) for hook in all_hooks] == [["opened"], [], ["opened", "worse"]]


def test_slack_gets_its_own_format_and_no_mention_that_nobody_wrote(empty: Platform, hook: Hook) -> None:
    write_settings(empty, {"kind": "slack", "name": "channel", "url": hook.url})
    say(empty, description="<!channel> 3 < 4", metadata={"observed": 0.5, "limit": 1.0, "remedy": "fix the source"})

    with hook.up():
        tick(empty)

    [posted] = hook.posted
    assert posted.body["text"] == f"[error] {USE_CASE}: {CHECK} began"
    texts = [block["text"]["text"] for block in posted.body["blocks"] if "text" in block]
    assert texts[1] == "&lt;!channel&gt; 3 &lt; 4"
    assert "*Remedy*: fix the source" in texts[2]
    assert f"*Playbook*: docs/playbook.md#{CHECK}" in texts[2]


def test_people_get_an_email_and_all_of_one_alert_are_one_thread(empty: Platform) -> None:
    server = MailServer()
    write_settings(empty, mail(server))
    with server.up():
        say(empty, description="too much is predicted", metadata={"remedy": "recalibrate"})
        tick(empty)
        say(empty, passed=True)
        tick(empty)

    [(to, first), (_, second)] = server.mails
    assert to == ["ada@example.org", "bob@example.org"]
    assert first["subject"] == f"[error] {USE_CASE}: {CHECK} began"
    assert first["references"] == second["references"]
    assert first["message-id"] != second["message-id"]
    text = first.get_payload()
    assert isinstance(text, str)
    assert "What was seen: too much is predicted" in text
    assert "Remedy: recalibrate" in text


def test_a_mail_server_that_was_down_gets_the_mail_once_it_is_back(empty: Platform, clock: time_machine.Traveller) -> None:
    server = MailServer()
    write_settings(empty, mail(server))
    say(empty)
    [waiting] = tick(empty).waiting
    assert "127.0.0.1 cannot be reached" in waiting.why

    clock.shift(timedelta(seconds=30))
    with server.up():
        book = tick(empty)

    assert book.waiting == ()
    assert len(server.mails) == 1


def test_an_address_that_is_refused_keeps_no_other_from_the_mail(empty: Platform) -> None:
    server = MailServer("bob@example.org")
    write_settings(empty, mail(server))
    say(empty)

    with server.up():
        [delivered] = tick(empty).delivered

    assert [to for to, _ in server.mails] == [["ada@example.org"]]
    assert delivered.why == "refused: bob@example.org"


def test_no_mail_goes_in_the_clear_where_encryption_is_asked_for(empty: Platform) -> None:
    server = MailServer()
    write_settings(empty, mail(server, security="starttls"))
    say(empty)

    with server.up():
        [waiting] = tick(empty).waiting

    assert "STARTTLS" in waiting.why
    assert server.mails == []


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
