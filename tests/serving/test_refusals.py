"""What is not a valid request is refused with a problem document that names every problem by its path."""

from typing import Any

import pytest

from lake.errors import PROBLEMS_LISTED
from lake.home import Home
from lake.interface.settings import ServerSettings
from lake.interface.worker import Worker
from serving.app import create_app
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, toy
from tests.serving.bad import BAD_REQUESTS
from tests.serving.bad.parts import Bad


def test_the_corpus_is_one() -> None:
    assert len(BAD_REQUESTS) >= 60
    assert len({(bad.path, bad.name, bad.body) for bad in BAD_REQUESTS}) == len(BAD_REQUESTS)


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda bad: f"{bad.path.rpartition('/')[2]}: {bad.name}")
def test_a_bad_request_is_refused_in_these_words(client: Client, bad: Bad) -> None:
    answer = client.post(bad.path, content=bad.body, headers={"content-type": "application/json", **bad.headers})
    document = answer.json()

    assert (answer.status_code, document["detail"]) == (bad.status, bad.said)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (document["status"], document["error"]) == (bad.status, bad.said)
    told = [f"{one['path']}: found {one['found']}, expected {one['expected']}" for one in document.get("problems", ())]
    assert bad.status != 400 or "; ".join(told) == bad.said
    assert not {"predictions", "outputs"} & set(document)


def test_nothing_of_a_refused_body_is_answered(client: Client) -> None:
    answer = client.post(PREDICT, content=records_body(parcel(), parcel(depot="west"), parcel())).json()

    assert "predictions" not in answer
    assert [problem["path"] for problem in answer["problems"]] == ["records[1].depot"]


@pytest.mark.parametrize("path", ["/models/other", "/v2/models/other", "/v2/models/other/ready", "/nothing/here"])
def test_what_is_not_there_is_not_found(client: Client, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


def test_a_path_that_nobody_serves_is_named_and_so_is_the_page_that_lists_them(client: Client) -> None:
    answer = client.get("/nothing/here").json()

    assert answer["detail"] == "Nothing is at '/nothing/here'. The page /schema lists what is here."
    assert client.get("/schema").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PREDICT), ("PUT", INFER), ("DELETE", f"/models/{USE_CASE}"), ("POST", "/health/live")]
)
def test_another_method_is_not_allowed(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.json()["detail"] == f"'{path}' takes {answer.headers['allow']}, found {method}."
    assert method not in answer.headers["allow"]


def many(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [parcel(**changes)] * count


@pytest.mark.parametrize(("path", "body"), [(PREDICT, records_body), (INFER, tensors_body)])
def test_of_very_many_problems_the_first_are_named_and_the_rest_counted(client: Client, path: str, body: Any) -> None:
    document = client.post(path, content=body(*many(300, weight_kg=-1))).json()

    assert len(document["problems"]) == PROBLEMS_LISTED
    assert document["more_problems"] == 300 - PROBLEMS_LISTED
    assert document["detail"].endswith("; and 200 more")


def test_nobody_counts_without_end_what_is_wrong(client: Client) -> None:
    document = client.post(PREDICT, content=records_body(*many(10_000, weight_kg=-1, stops=-1))).json()

    assert document["detail"].endswith("; and at least 1,000 more")


def test_the_most_rows_and_bytes_are_settings(home: Home, approver: Approver) -> None:
    approver.release(toy())
    worker = Worker(ServerSettings(maximum_rows=2, maximum_bytes=2_000))
    with Client(create_app(home, USE_CASE, "champion", worker=worker)) as client:
        assert client.post(PREDICT, content=records_body(*many(2))).status_code == 200
        assert client.post(INFER, content=tensors_body(*many(2))).status_code == 200
        for path, body in ((PREDICT, records_body), (INFER, tensors_body)):
            answer = client.post(path, content=body(*many(3)))
            assert (answer.status_code, "found 3 rows, expected 1 to 2 rows" in answer.json()["detail"]) == (400, True)
        answer = client.post(PREDICT, content=records_body(parcel(), id="x" * 2_000))
        assert (answer.status_code, "the 2,000 bytes" in answer.json()["detail"]) == (413, True)
