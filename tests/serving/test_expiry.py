"""A release whose time is over is served on with an alarm, or refused, as the policy says; and that is said ahead."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar

from lake.home import Home
from lake.release.expiry import APPROVE_AGAIN
from lake.times import rfc3339, utc
from serving.app import create_app
from tests.clocks import Hands
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, toy
from tests.serving.test_operation import metric

EXPIRES_SECONDS = "trainserve_predictor_release_expires_seconds"
Start = Callable[[], Client]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def start(home: Home, hands: Hands) -> Iterator[Start]:
    """Starts the champion's predictor by the test's clock, which may leap: what was read before is not too old then."""

    def app() -> Litestar:
        return create_app(home, USE_CASE, "champion", greatest_copy_age_s=1e9, clock=hands)

    with ExitStack() as stack:
        yield lambda: stack.enter_context(Client(app()))


def release(approver: Approver, hands: Hands, days: float = 40) -> str:
    """Release a toy for so many days; returns when it expires."""
    expires_at_utc = rfc3339(hands.now + timedelta(days=days))
    approver.release(toy(), expires_at_utc=expires_at_utc)
    return expires_at_utc


def ready(client: Client) -> dict[str, Any]:
    return dict(client.get("/health/ready").json())


def ask(client: Client) -> tuple[int, str]:
    """The status of an answer, and what a problem says."""
    answer = client.post(PREDICT, content=records_body(parcel()))
    return answer.status_code, str(answer.json().get("detail", ""))


def test_the_end_is_announced_once_at_each_step(
    approver: Approver, hands: Hands, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    expires = release(approver, hands)
    client = start()
    assert (ready(client)["notice"], ready(client)["expires_at_utc"]) == (None, expires)
    assert metric(client, EXPIRES_SECONDS) == pytest.approx(40 * 86_400, abs=1)

    for moved, within in ((11, "30 days"), (22, "7 days"), (6, "1 day")):
        hands.move(days=moved)
        notice = f"release 1 on arm 'champion', {USE_CASE} 1.0.0, expires at {expires}, within {within}. An approver approves it"
        assert ready(client)["notice"].startswith(notice)
        assert client.get(f"/models/{USE_CASE}").json()["notice"].startswith(notice)
        eventually(lambda words=f"within {within}": words in capsys.readouterr().out)  # type: ignore[misc]
        assert (ready(client)["alarm"], ask(client)[0]) == (None, 200)

    assert metric(client, EXPIRES_SECONDS) == pytest.approx(86_400, abs=1)
    hands.move(hours=1)
    eventually(lambda: metric(client, EXPIRES_SECONDS) < 86_000)
    assert "within" not in capsys.readouterr().out


def test_by_the_built_in_policy_it_is_served_on_with_an_alarm(
    approver: Approver, hands: Hands, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    expires = release(approver, hands)
    client = start()
    hands.move(days=40, seconds=10)

    assert ask(client)[0] == 200
    alarm = (
        f"release 1 on arm 'champion', {USE_CASE} 1.0.0, expired at {expires} and is served on, as the policy says. An approver"
    )
    assert ready(client)["alarm"].startswith(alarm)
    assert client.get(f"/models/{USE_CASE}").json()["notice"].startswith(alarm)
    assert metric(client, "trainserve_predictor_alarm") == 1
    assert metric(client, EXPIRES_SECONDS) == pytest.approx(-10, abs=1)
    eventually(lambda: alarm in capsys.readouterr().out)
    assert ask(start())[0] == 200, "so does one that starts afterwards"


def test_where_the_policy_says_so_it_is_refused_from_the_very_moment(approver: Approver, hands: Hands, start: Start) -> None:
    approver.make_policy(expired="refuse")
    expires = release(approver, hands)
    client = start()
    hands.now = utc(expires) - timedelta(milliseconds=1)
    assert ask(client)[0] == 200

    hands.now = utc(expires)

    status, detail = ask(client)
    why = f"release 1 on arm 'champion', {USE_CASE} 1.0.0, expired at {expires}, and the policy lets no expired release answer"
    assert (status, detail) == (503, f"model 'late_parcel' is not available: {why}. {APPROVE_AGAIN}")
    assert client.get("/health/ready").status_code == 503
    assert ready(client)["alarm"] == why
    assert metric(client, "trainserve_predictor_release_seq") == 0
    assert metric(client, EXPIRES_SECONDS) == 0
    assert ask(start())[0] == 503


def test_a_release_that_follows_ends_the_refusal(approver: Approver, hands: Hands, start: Start) -> None:
    approver.make_policy(expired="refuse")
    release(approver, hands)
    client = start()
    hands.move(days=41)
    assert ask(client)[0] == 503

    release(approver, hands, days=80)

    eventually(lambda: ask(client)[0] == 200)
    assert ready(client)["release_seq"] == 2


def test_a_policy_that_changes_holds_without_a_restart(approver: Approver, hands: Hands, start: Start) -> None:
    release(approver, hands)
    client = start()
    hands.move(days=41)
    assert ask(client)[0] == 200

    approver.make_policy(expired="refuse", valid_from_utc=rfc3339(hands.now - timedelta(hours=1)))

    eventually(lambda: ask(client)[0] == 503)
