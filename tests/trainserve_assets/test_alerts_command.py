"""`trainserve alerts`, in this process: what is open, what waits, and whether receivers can be reached."""

import sys

import msgspec
import pytest

from checks.alerts import Evaluated, Statement
from lake.commands.line import main
from lake.documents import DocumentStore
from lake.home import Home
from lake.times import now_utc, rfc3339
from tests.receivers import Hook
from tests.scenario import USE_CASE
from trainserve_assets.alerts.book import AlertBook, write_book
from trainserve_assets.alerts.receivers import AlertSettings


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The status that the command ends with."""
    monkeypatch.setattr(sys, "argv", ["trainserve", "alerts", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def write_receivers(home: Home, *hooks: Hook) -> None:
    receivers = [{"kind": "webhook", "name": f"duty{number}", "url": hook.url} for number, hook in enumerate(hooks, 1)]
    home.root.mkdir(exist_ok=True)
    home.alerts.write_bytes(msgspec.yaml.encode({"receivers": receivers}))


def open_alert(home: Home, store: DocumentStore) -> None:
    at = rfc3339(now_utc())
    statement = Statement(
        use_case=USE_CASE,
        asset="windows",
        check="answers_are_calibrated",
        about="champion",
        at_utc=at,
        passed=False,
        severity="error",
        seen="too much",
        remedy="recalibrate",
    )
    evaluated = Evaluated(asset=statement.asset, check=statement.check, at_utc=at, statements=[statement])
    settings = AlertSettings.read(home.alerts)
    book = AlertBook(use_case=USE_CASE).taken(evaluated, settings.receivers, now_utc())
    write_book(store, book.noticed(settings.receivers, now_utc(), settings.telling))


def test_open_alerts_are_listed_with_who_was_told_and_what_waits(
    home: Home, store: DocumentStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_receivers(home, Hook())
    open_alert(home, store)

    assert run(monkeypatch) == 1

    printed = capsys.readouterr().out
    assert f"error: {USE_CASE}: answers_are_calibrated on champion, since " in printed
    assert "remedy: recalibrate; told: duty1" in printed
    assert "(opened) for duty1" in printed


def test_without_alerts_it_says_so(
    home: Home, store: DocumentStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert store.root == home.lake
    assert run(monkeypatch, USE_CASE) == 0
    assert "No alert is open" in capsys.readouterr().out


def test_every_receiver_is_tried_and_the_one_that_is_down_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = Hook()
    write_receivers(home, hook, Hook())

    with hook.up():
        assert run(monkeypatch, "test") == 1

    assert capsys.readouterr().out.splitlines() == ["duty1: has it", "duty2: 127.0.0.1 cannot be reached (ConnectError)"]
    assert [one.body["kind"] for one in hook.posted] == ["test"]


def test_a_receiver_that_is_not_named_is_an_error(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_receivers(home, Hook())
    assert run(monkeypatch, "test", "nobody") == 1
    assert "expected one of ['duty1'], which it names" in capsys.readouterr().err
