"""The Open Inference Protocol through the proxy: the predictor's answer in every form, and the scores in the log."""

from typing import Any

import httpx
import msgspec
import pytest

from tests.protocol import JSON_LENGTH, binary_body, outputs_of
from tests.proxied import predictions
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, varied

ROWS = varied(9)
BINARY, HEADERS = binary_body(*ROWS)
KEY = {"trainserve-routing-key": "one arm"}


def scores_at(loop: Loop, rows: list[dict[str, Any]]) -> list[float]:
    """What the model of the arm that the key leads to gives."""
    arm = loop.client.post(PREDICT, content=records_body(parcel()), headers=KEY).json()["provenance"]["arm"]
    return [loop.toys[arm].score(row) for row in rows]


def logged_scores(loop: Loop, answer: httpx.Response) -> list[Any]:
    """The scores of an answered request, as the log has them."""
    rows = [row for row in predictions(loop.home) if row.request_id == answer.headers["trainserve-request-id"]]
    return [row.scores for row in sorted(rows, key=lambda row: row.row)]


@pytest.mark.parametrize("body", [tensors_body(*ROWS), BINARY], ids=["JSON", "bytes"])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"outputs": [{"name": "score"}]},
        {"outputs": [{"name": "unknown_categories"}]},
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "score", "parameters": {"binary_data": True}}, {"name": "unknown_categories"}]},
    ],
    ids=["all", "scores", "no scores", "all as bytes", "one as bytes"],
)
def test_whatever_is_sent_and_wanted_is_answered_and_logged(loop: Loop, body: bytes, wanted: dict[str, Any]) -> None:
    body, headers = (tensors_body(*ROWS, **wanted), {}) if body is not BINARY else binary_body(*ROWS, **wanted)
    answer = loop.client.post(INFER, content=body, headers={**headers, **KEY})

    truth = scores_at(loop, ROWS)
    assert answer.status_code == 200, answer.text
    outputs = outputs_of(answer)
    assert outputs.get("score", truth) == truth
    assert outputs.get("unknown_categories", []) in ([], ["carrier" if row["carrier"] == "drone" else "" for row in ROWS])
    names = [one["name"] for one in wanted.get("outputs", ())] or ["score", "unknown_categories"]
    assert list(outputs) == names
    assert logged_scores(loop, answer) == [[score] for score in truth]


def test_both_ways_through_the_proxy_say_who_answered(loop: Loop) -> None:
    plain = loop.client.post(INFER, content=tensors_body(*ROWS, id="mine"), headers=KEY).json()
    body, headers = binary_body(*ROWS, id="mine")
    binary = loop.client.post(INFER, content=body, headers={**headers, **KEY}).json()

    for answer in (plain, binary):
        assert answer["parameters"].pop("request_id")
    assert binary == plain
    assert plain["id"] == "mine"


def test_a_proof_goes_with_tensors_as_bytes(loop: Loop) -> None:
    asked = tensors_body(*ROWS, parameters={"binary_data_output": True})
    answer = loop.client.post(INFER, content=asked, headers={**KEY, "trainserve-proof": "yes"})

    assert outputs_of(answer)["score"] == scores_at(loop, ROWS)
    document = msgspec.json.decode(answer.content[: int(answer.headers[JSON_LENGTH])])
    assert len(document["proof"]["records"]) == len(ROWS)


def test_a_version_is_answered_by_that_version_or_not_at_all(loop: Loop) -> None:
    champion = loop.client.get(f"/v2/models/{USE_CASE}").json()["versions"][0]
    assert loop.client.get(f"/v2/models/{USE_CASE}/versions/{champion}").json()["versions"] == [champion]
    assert loop.client.get(f"/v2/models/{USE_CASE}/versions/{champion}/ready").json()["ready"]
    assert loop.client.get(f"/v2/models/{USE_CASE}/versions/9").status_code == 404

    statuses = {}
    for number in range(20):
        asked = f"/v2/models/{USE_CASE}/versions/{champion}/infer"
        answer = loop.client.post(asked, content=tensors_body(parcel()), headers={"trainserve-routing-key": f"key {number}"})
        statuses[answer.status_code] = answer.json()
    assert set(statuses) == {200, 404}
    assert statuses[200]["model_version"] == champion
    assert statuses[404]["detail"].endswith("answers this request.")
