"""With the lake away or cut the proxy goes by what was read of it and verified, up to an age, and says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.home import Home
from serving.app import create_app
from tests.clocks import Hands
from tests.proxied import parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy

A_DAY_S = 86_400.0


@pytest.fixture
def digest(approver: Approver) -> str:
    """A released package."""
    return approver.release(toy())


@pytest.fixture
def url(home: Home, digest: str) -> Iterator[str]:
    """The predictor of the release."""
    with listening(create_app(home, USE_CASE, "champion")) as url:
        assert digest
        yield url


def status(client: Client) -> int:
    return client.post(PREDICT, content=records_body(parcel())).status_code


def test_it_starts_without_the_lake_routes_logs_and_says_so(home: Home, url: str, digest: str) -> None:
    hands = Hands()
    with proxied(home, parameters({"champion": url}), clock=hands) as client:
        assert status(client) == 200
    lake = Path(home.lake)
    away = lake.rename(home.root / "away")
    hands.move(hours=1)

    with proxied(home, parameters({"champion": url}), clock=hands) as client:
        assert status(client) == 200
        page = client.get("/health/ready").json()
        assert (page["ready"], page["lake"][USE_CASE]["reachable"]) == (True, False)
        assert "its folder is not there" in page["alarms"][USE_CASE]
        assert page["arms"][USE_CASE]["champion"]["package_digest"] == digest
        figures = metrics(client)
        assert figures["trainserve_proxy_lake_reachable", USE_CASE] == 0
        assert figures["trainserve_proxy_copy_age_seconds", USE_CASE] == pytest.approx(3600, abs=60)
        assert figures["trainserve_proxy_alarm", USE_CASE] == 1
        assert not lake.exists()

        away.rename(lake)
        eventually(lambda: client.get("/health/ready").json()["alarms"] == {})
        assert metrics(client)["trainserve_proxy_lake_reachable", USE_CASE] == 1
    assert [row.package_digest for row in predictions(home)] == [digest, digest]


def test_beyond_its_age_nothing_is_answered_until_the_lake_is_back(home: Home, url: str) -> None:
    hands = Hands()
    with proxied(home, parameters({"champion": url}), clock=hands, greatest_copy_age_s=A_DAY_S) as client:
        assert status(client) == 200
        away = Path(home.lake).rename(home.root / "away")
        eventually(lambda: not client.get("/health/ready").json()["lake"][USE_CASE]["reachable"])
        hands.move(seconds=A_DAY_S + 10)

        answer = client.post(PREDICT, content=records_body(parcel()))
        assert answer.status_code == 503
        assert "the lake was last reached at" in answer.json()["detail"]
        assert "It answers again once the lake is back." in answer.json()["detail"]
        assert client.get("/health/ready").status_code == 503
        away.rename(home.lake)
        eventually(lambda: status(client) == 200)


def test_a_changed_event_in_its_copy_routes_nothing(home: Home, url: str) -> None:
    with proxied(home, parameters({"champion": url})) as client:
        assert status(client) == 200
    Path(home.lake).rename(home.root / "away")
    event = home.copies / "lake" / USE_CASE / "releases" / "00000001.json"
    event.write_bytes(event.read_bytes().replace(b"A", b"B", 1))

    with proxied(home, parameters({"champion": url})) as client:
        assert status(client) == 503
        assert "event 1 of the ledger of 'late_parcel' does not verify" in client.get("/health/ready").json()["alarms"][USE_CASE]


def test_a_ledger_whose_tail_was_cut_routes_nothing_after_a_restart(
    home: Home, approver: Approver, url: str, digest: str
) -> None:
    with proxied(home, parameters({"champion": url})) as client:
        approver.decide("revoke", digest)
        eventually(lambda: status(client) == 503)
    Path(home.lake, USE_CASE, "releases", "00000002.json").unlink()

    with proxied(home, parameters({"champion": url})) as client:
        assert status(client) == 503
        alarm = client.get("/health/ready").json()["alarms"][USE_CASE]
        assert "found 1 events, expected at least 2, as were seen before" in alarm
        assert metrics(client)["trainserve_proxy_alarm", USE_CASE] == 1
