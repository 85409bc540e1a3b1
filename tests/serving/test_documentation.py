"""The predictor's API pages are whole and true, and work without a network."""

from pathlib import Path
from typing import Any

import pytest

from lake.home import Home
from serving.app import create_app
from tests.api_fuzz import assert_keeps_its_document
from tests.api_pages import ApiDocument, assert_page_is_offline
from tests.scenario import USE_CASE, parcel, records_body, without
from tests.served import PREDICT, Approver, Client, listening, toy


def test_the_document_is_whole(client: Client) -> None:
    ApiDocument(client).assert_whole()


def test_its_examples_are_answered_as_they_stand(client: Client) -> None:
    document = ApiDocument(client)
    examples = list(document.examples())

    assert sorted(path for path, _ in examples) == [PREDICT, f"/v2{PREDICT}".replace("predict", "infer")]
    for path, body in examples:
        answer = client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        document.assert_declared("post", path.replace(USE_CASE, "{name}"), answer)


@pytest.mark.parametrize("path", ["/models/{name}", "/v2/models/{name}", "/v2", "/health/live", "/health/ready"])
def test_pages_are_as_it_declares_them(client: Client, path: str) -> None:
    answer = client.get(path.replace("{name}", USE_CASE))

    assert answer.status_code == 200
    ApiDocument(client).assert_declared("get", path, answer)


def test_problems_are_as_it_declares_them(client: Client) -> None:
    document = ApiDocument(client)

    document.assert_declared("post", "/models/{name}/predict", client.post(PREDICT, content=b"{"))
    document.assert_declared("post", "/models/{name}/predict", client.post("/models/other/predict", content=b"{"))
    document.assert_declared("get", "/models/{name}", client.get("/models/other"))


@pytest.mark.parametrize(
    "row",
    [
        parcel(),
        parcel(carrier="drone", distance_km=None, stops=None),
        without(parcel(), "carrier", "distance_km", "stops"),
        parcel(depot="west"),
        parcel(colour="red"),
        parcel(weight_kg=-1),
        parcel(weight_kg="12"),
        parcel(stops=51),
        parcel(express=1),
        parcel(carrier="x" * 257),
        without(parcel(), "parcel_id"),
    ],
)
def test_it_accepts_what_the_predictor_answers(client: Client, row: dict[str, Any]) -> None:
    answered = client.post(PREDICT, content=records_body(row)).status_code == 200

    assert ApiDocument(client).accepts("/models/{name}/predict", {"records": [row]}) == answered


def test_a_client_that_tries_everything_meets_nothing_that_is_not_in_it(home: Home, approver: Approver, tmp_path: Path) -> None:
    approver.release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as url:
        assert_keeps_its_document(url, tmp_path, examples=15)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_a_client_that_tries_everything_for_long_meets_nothing_either(home: Home, approver: Approver, tmp_path: Path) -> None:
    approver.release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as url:
        assert_keeps_its_document(url, tmp_path, examples=1000)


def test_the_page_needs_no_other_host(client: Client) -> None:
    assert_page_is_offline(client)


def test_before_a_release_the_pages_are_there_too(home: Home) -> None:
    with Client(create_app(home, USE_CASE, "champion")) as client:
        ApiDocument(client).assert_whole()
        assert_page_is_offline(client)
