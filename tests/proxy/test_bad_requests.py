"""The proxy refuses what the predictor refuses, in the same words, and logs it."""

import pytest

from lake.home import Home
from lake.interface.settings import ServerSettings
from lake.interface.worker import Worker
from serving.app import create_app
from tests.proxied import parameters, predictions, proxied
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, listening, toy
from tests.serving.bad import BAD_REQUESTS
from tests.serving.bad.parts import Bad


@pytest.mark.parametrize(
    "bad",
    [bad for bad in BAD_REQUESTS if bad.status != 404],  # who is not found is named by each server for itself
    ids=lambda bad: f"{bad.path.rpartition('/')[2]}: {bad.name}",
)
def test_a_bad_request_meets_the_same_words_at_the_proxy(loop: Loop, bad: Bad) -> None:
    answer = loop.client.post(bad.path, content=bad.body, headers={"content-type": "application/json", **bad.headers})

    assert (answer.status_code, answer.json()["detail"]) == (bad.status, bad.said)
    if bad.status == 400:
        [logged] = [row for row in predictions(loop.home) if row.request_id == answer.headers["trainserve-request-id"]]
        assert (logged.outcome, logged.status, logged.scores) == ("refused", 400, None)
        assert logged.raw == bad.body[:4096]


def test_the_most_rows_and_bytes_are_settings_of_the_proxy_too(home: Home, approver: Approver) -> None:
    approver.release(toy())
    worker = Worker(ServerSettings(maximum_rows=1, maximum_bytes=1_000))
    with (
        listening(create_app(home, USE_CASE, "champion")) as url,
        proxied(home, parameters({"champion": url}), worker=worker) as client,
    ):
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        assert "expected 1 to 1 rows" in client.post(PREDICT, content=records_body(parcel(), parcel())).json()["detail"]
        assert client.post(PREDICT, content=records_body(*[parcel()] * 9)).status_code == 413


def test_where_a_predictor_takes_less_than_the_proxy_its_refusal_is_told(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with (
        listening(create_app(home, USE_CASE, "champion", worker=Worker(ServerSettings(maximum_bytes=1_000)))) as url,
        proxied(home, parameters({"champion": url})) as client,
    ):
        answer = client.post(PREDICT, content=records_body(*[parcel()] * 9))

    assert (answer.status_code, "the 1,000 bytes" in answer.json()["detail"]) == (413, True)
