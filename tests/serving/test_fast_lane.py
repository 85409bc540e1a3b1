"""The lane of predictions: its answers are those of the framework's own way, and so are its refusals."""

import pytest

from lake.home import Home
from serving.app import create_app
from serving.prediction import Predictor
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, toy

INFER = f"/v2/models/{USE_CASE}/infer"
REQUEST_ID = {"trainserve-request-id": "00000000-0000-7000-8000-000000000001"}


@pytest.mark.parametrize("path", [PREDICT, INFER, f"/v2/models/{USE_CASE}/versions/9/infer", "/models/nobody/predict"])
@pytest.mark.parametrize("body", [records_body(parcel()), b"{", b""])
def test_what_takes_the_lane_is_answered_as_what_does_not(client: Client, path: str, body: bytes) -> None:
    fast, routed = (client.post(f"{path}{end}", content=body, headers=REQUEST_ID) for end in ("", "/"))

    assert (fast.status_code, fast.content) == (routed.status_code, routed.content)
    assert dict(fast.headers) == dict(routed.headers)


@pytest.mark.parametrize("host", ["predictor", "predictor.example:8001", "[::1]:8001", "two words", "a/b", "predictor:port"])
def test_hosts_are_judged_alike_on_both_ways(client: Client, host: str) -> None:
    headers = {"host": host}
    fast, routed = (client.post(f"{PREDICT}{end}", content=records_body(parcel()), headers=headers) for end in ("", "/"))

    assert fast.status_code == routed.status_code


def test_an_error_that_nobody_foresaw_is_a_problem_there_too(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("inner words")

    Approver(home).release(toy())
    with Client(create_app(home, USE_CASE, "champion")) as client:
        monkeypatch.setattr(Predictor, "answer", fails)
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert b"inner words" not in answer.content


def test_other_methods_are_refused_as_ever(client: Client) -> None:
    assert client.get(PREDICT).status_code == 405
