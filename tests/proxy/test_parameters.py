"""What an operator publishes holds within a second, without a restart, stands in each row, and survives a lake that is away."""

from pathlib import Path
from time import monotonic

import msgspec
import pytest

from lake.documents import DocumentStore
from lake.errors import InvalidInput
from lake.home import Home
from lake.parameters import Arm, Parameters, publish_parameters
from tests.proxied import NOBODY, parameters, predictions, proxied
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, toy


def arms(client: Client, requests: int = 20) -> set[str]:
    """The arms that answer so many entities."""
    bodies = [records_body(parcel(parcel_id=f"P-{number}")) for number in range(requests)]
    return {client.post(PREDICT, content=body).json()["provenance"]["arm"] for body in bodies}


def in_force(client: Client) -> int:
    """The version of the parameters that the proxy goes by."""
    answer = client.get(f"/parameters/{USE_CASE}")
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    return int(answer.json()["version"])


def test_a_published_change_routes_within_a_second_and_stands_in_the_rows(
    home: Home, store: DocumentStore, urls: dict[str, str]
) -> None:
    with proxied(home, parameters(urls)) as client:
        assert (arms(client), in_force(client)) == ({"champion"}, 0)

        published_at = monotonic()
        publish_parameters(store, parameters(urls, challenger_share=1.0, changed_by="olga", why="incident 7"), 0)
        eventually(lambda: in_force(client) == 1)
        took_s = monotonic() - published_at
        assert arms(client) == {"challenger"}
        publish_parameters(store, parameters(urls), 1)
        eventually(lambda: in_force(client) == 2)
        assert arms(client) == {"champion"}

    assert took_s < 5, "a second, and what a busy machine adds"
    versions = [(row.parameters_version, row.arm) for row in predictions(home)]
    assert versions == [(0, "champion")] * 20 + [(1, "challenger")] * 20 + [(2, "champion")] * 20


def test_switching_off_and_on_again_needs_no_restart(home: Home, store: DocumentStore, urls: dict[str, str]) -> None:
    with proxied(home, parameters(urls)) as client:
        publish_parameters(store, parameters(urls, active=False), 0)
        eventually(lambda: client.post(PREDICT, content=records_body(parcel())).status_code == 503)
        publish_parameters(store, parameters(urls), 1)
        eventually(lambda: client.post(PREDICT, content=records_body(parcel())).status_code == 200)


def test_a_document_that_is_wrong_is_refused_and_one_that_was_smuggled_in_is_not_followed(
    home: Home, store: DocumentStore, approver: Approver, urls: dict[str, str]
) -> None:
    wrong = parameters({"champion": "http://host:port"}, champion=Arm(upstreams=("http://host:port", "ftp://host"), share=1.5))
    with pytest.raises(InvalidInput) as refused:
        publish_parameters(store, wrong, 0)
    assert [problem.path for problem in refused.value.problems] == [
        "arms.champion.share",
        "arms",
        "arms.champion.upstreams",
        "arms.champion.upstreams",
    ]
    with proxied(home, parameters(urls)) as client:
        store.put_new(f"{USE_CASE}/parameters/00000001.json", msgspec.json.encode(msgspec.structs.replace(wrong, version=1)))
        eventually(lambda: "share" in client.get("/health/ready").json()["alarms"].get(USE_CASE, ""))

        assert (in_force(client), arms(client)) == (0, {"champion"})
        approver.decide("revoke", approver.seal(toy(1)))
        eventually(lambda: client.post(PREDICT, content=records_body(parcel())).status_code == 503)


@pytest.mark.usefixtures("approver")
def test_a_restart_without_the_lake_goes_by_the_copy(home: Home, store: DocumentStore) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        publish_parameters(store, parameters({"champion": NOBODY}, active=False, timeout_s=0.5), 0)
        eventually(lambda: in_force(client) == 1)
    Path(home.lake).rename(home.root / "away")

    with proxied(home, parameters({"champion": NOBODY})) as client:
        document = client.get(f"/parameters/{USE_CASE}").json()

    assert msgspec.convert(document, Parameters) == parameters({"champion": NOBODY}, active=False, timeout_s=0.5, version=1)


def test_while_the_lake_is_away_requests_are_answered_and_logged(home: Home, urls: dict[str, str]) -> None:
    with proxied(home, parameters(urls, challenger_share=0.5)) as client:
        lake = Path(home.lake)
        away = lake.rename(home.root / "away")
        eventually(lambda: "its folder is not there" in client.get("/health/ready").json()["alarms"].get(USE_CASE, ""))

        assert arms(client) == {"champion", "challenger"}
        assert client.get("/health/ready").status_code == 200
        away.rename(lake)
        eventually(lambda: client.get("/health/ready").json()["alarms"] == {})
    assert len(predictions(home)) == 20


def test_another_use_case_has_no_parameters(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert client.get("/parameters/other").status_code == 404
