"""The proxy refuses what the predictor refuses, in the same words, and logs it."""

import pytest

from tests.proxied import predictions
from tests.proxy.conftest import Loop
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
