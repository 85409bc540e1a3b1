"""A release whose time is over is routed to or not, as the policy says; the end is announced."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

from lake.home import Home
from lake.release.expiry import APPROVE_AGAIN
from lake.times import rfc3339
from serving.app import create_app
from tests.clocks import Hands
from tests.proxied import parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def client(home: Home, hands: Hands, approver: Approver, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A proxy under the policy that the test asks for: a champion for 40 days, a challenger with all requests for 20."""
    approver.make_policy(expired=request.param)
    for seed, arm, days in ((1, "champion", 40), (2, "challenger", 20)):
        approver.release(toy(seed), arm, expires_at_utc=rfc3339(hands.now + timedelta(days=days)))
    clocked = {"clock": hands, "greatest_copy_age_s": 1e9}
    with ExitStack() as stack:
        arms = ("champion", "challenger")
        urls = {arm: stack.enter_context(listening(create_app(home, USE_CASE, arm, **clocked))) for arm in arms}  # type: ignore[arg-type]
        yield stack.enter_context(proxied(home, parameters(urls, challenger_share=1.0), **clocked))


def ask(client: Client) -> tuple[int, str]:
    """The status, and who answered, or what the problem says."""
    answer = client.post(PREDICT, content=records_body(parcel()))
    document = answer.json()
    return answer.status_code, document["provenance"]["arm"] if answer.status_code == 200 else document["detail"]


@pytest.mark.parametrize("client", ["refuse"], indirect=True)
def test_what_may_not_answer_any_more_is_not_asked(client: Client, hands: Hands, home: Home) -> None:
    assert ask(client) == (200, "challenger")

    hands.move(days=21)
    assert ask(client) == (200, "champion")
    assert client.get("/health/ready").json()["arms"][USE_CASE]["challenger"]["share"] == 0

    hands.move(days=20)
    status, detail = ask(client)
    assert status == 503
    assert detail.startswith(f"release 1 on arm 'champion', {USE_CASE} 1.0.0, expired at ")
    assert detail.endswith(f", and the policy lets no expired release answer. {APPROVE_AGAIN}")
    assert client.get("/health/ready").status_code == 503
    assert [(row.outcome, row.arm, row.attempts) for row in predictions(home)] == [
        ("answered", "challenger", 1),
        ("answered", "champion", 1),
        ("failed", None, 0),
    ]


@pytest.mark.parametrize("client", ["serve"], indirect=True)
def test_what_is_served_on_is_asked_and_announced(client: Client, hands: Hands, capsys: pytest.CaptureFixture[str]) -> None:
    expires = "trainserve_proxy_release_expires_seconds"
    assert metrics(client)[expires, "champion", USE_CASE] == pytest.approx(40 * 86_400, abs=60)
    hands.move(days=21)

    assert ask(client) == (200, "challenger")
    assert metrics(client)[expires, "challenger", USE_CASE] == pytest.approx(-86_400, abs=60)
    ahead, over = client.get("/health/ready").json()["notices"][USE_CASE][::-1]
    eventually(lambda: "and is served on, as the policy says" in capsys.readouterr().out)
    assert "release 2 on arm 'challenger'" in over
    assert "and is served on, as the policy says" in over
    assert "release 1 on arm 'champion'" in ahead
    assert "within 30 days" in ahead
