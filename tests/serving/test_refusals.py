"""What is not a valid request is refused with a problem document that names every problem by its path."""

from typing import Any

import msgspec
import pytest

from tests.scenario import USE_CASE, parcel, records_body, tensors_body, without
from tests.served import INFER, PREDICT, Client


def tensor(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1], "datatype": "FP64", "data": [1.0], **changes}


def refusal(client: Client, path: str, body: bytes) -> list[str]:
    """The paths that the problem document names; asserts all that every refusal has in common."""
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    document = answer.json()
    assert answer.status_code == document["status"] == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["title"] == "Bad Request"
    assert document["detail"] == document["error"]
    assert all(problem["found"] and problem["expected"] for problem in document["problems"])
    return [problem["path"] for problem in document["problems"]]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b"", ["body"]),
        (b"parcel_id=P-1", ["body"]),
        (b"null", ["body"]),
        (b"[]", ["body"]),
        (b"{}", ["body"]),
        (b'{"records": null}', ["body"]),
        (b'{"records": {}}', ["body"]),
        (b'{"records": [' + b"[" * 50_000, ["body"]),
        (records_body(parcel()) + b"{}", ["body"]),
        (records_body(parcel())[:-1], ["body"]),
        (b'{"records": [{"weight_kg": NaN}]}', ["body"]),
        (b'{"records": [{"weight_kg": -Infinity}]}', ["body"]),
        ("{'records': []}".encode("utf-16"), ["body"]),
        (records_body(), ["records"]),
        (records_body(*[parcel()] * 10_001), ["records"]),
        (records_body(parcel(), records_=1), ["records_"]),
        (records_body(parcel(), id=7), ["id"]),
        (records_body("P-1"), ["records[0]"]),
        (records_body([1, 2]), ["records[0]"]),
        (records_body({}), [f"records[0].{name}" for name in ("parcel_id", "sent_at", "depot", "weight_kg", "express")]),
        (records_body(parcel(), without(parcel(), "depot")), ["records[1].depot"]),
        (records_body(parcel(colour="red")), ["records[0].colour"]),
        (records_body(parcel(Weight_kg=1.0)), ["records[0].Weight_kg"]),
        (records_body(parcel(weight_kg="12.5")), ["records[0].weight_kg"]),
        (records_body(parcel(weight_kg=-1)), ["records[0].weight_kg"]),
        (records_body(parcel(weight_kg=None)), ["records[0].weight_kg"]),
        (records_body(parcel(stops=2.5)), ["records[0].stops"]),
        (records_body(parcel(stops=2**70)), ["records[0].stops"]),
        (records_body(parcel(depot="west")), ["records[0].depot"]),
        (records_body(parcel(express="true")), ["records[0].express"]),
        (records_body(parcel(sent_at="yesterday")), ["records[0].sent_at"]),
        (records_body(parcel(sent_at="2013-07-01T09:30:00")), ["records[0].sent_at"]),
        (records_body(parcel(carrier=["van"])), ["records[0].carrier"]),
        (
            records_body(parcel(stops=99, depot=""), parcel(express=0)),
            ["records[0].depot", "records[0].stops", "records[1].express"],
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "body",
)
def test_a_wrong_record_is_refused_by_its_path(client: Client, body: bytes, paths: list[str]) -> None:
    assert refusal(client, PREDICT, body) == paths


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"weight_kg": tensor("weight_kg", datatype="BYTES", data=["12"])}, ["inputs[4].datatype"]),
        ({"weight_kg": tensor("weight_kg", datatype="FP16")}, ["inputs[4].datatype"]),
        ({"weight_kg": tensor("weight_kg", data=["12.5"])}, ["inputs[4].data[0]"]),
        ({"weight_kg": tensor("weight_kg", data=[1001])}, ["inputs[4].data[0]"]),
        ({"weight_kg": tensor("weight_kg", data=[[12.5]])}, ["inputs[4].data[0]"]),
        ({"weight_kg": tensor("weight_kg", data=12.5)}, ["inputs[4].data"]),
        ({"weight_kg": tensor("weight_kg", data=[1, 2])}, ["inputs[4].data"]),
        ({"weight_kg": tensor("weight_kg", shape=[2])}, ["inputs[4].shape"]),
        ({"weight_kg": tensor("weight_kg", shape=[])}, ["inputs[4].shape"]),
        ({"weight_kg": tensor("weight_kg", shape=[1, 1, 1])}, ["inputs[4].shape"]),
        ({"weight_kg": tensor("colour")}, ["inputs[4].name", "inputs"]),
        ({"weight_kg": tensor("stops")}, ["inputs[4].datatype", "inputs[6].name", "inputs"]),
        ({"parcel_id": tensor("parcel_id", shape=[0], datatype="BYTES", data=[])}, ["inputs[0].shape"]),
        ({"parcel_id": tensor("parcel_id", shape=[-1], datatype="BYTES")}, ["inputs[0].shape"]),
        ({"parcel_id": tensor("parcel_id", shape=[10_001], datatype="BYTES")}, ["inputs[0].shape"]),
        ({"parcel_id": {"name": "parcel_id"}}, ["body"]),
        ({"parcel_id": {**tensor("parcel_id"), "contents": []}}, ["body"]),
    ],
)
def test_a_wrong_tensor_is_refused_by_its_path(client: Client, changes: dict[str, Any], paths: list[str]) -> None:
    request = msgspec.json.decode(tensors_body(parcel()))
    inputs = [changes.get(one["name"], one) for one in request["inputs"]]

    assert refusal(client, INFER, msgspec.json.encode({"inputs": inputs})) == paths


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"inputs": []}', b'{"inputs": [], "colour": 1}', records_body(parcel())])
def test_what_is_not_the_protocol_is_refused_as_a_whole(client: Client, body: bytes) -> None:
    assert refusal(client, INFER, body) == ["body"]


def test_nothing_of_a_refused_body_is_answered(client: Client) -> None:
    answer = client.post(PREDICT, content=records_body(parcel(), parcel(depot="west"), parcel())).json()

    assert "predictions" not in answer
    assert [problem["path"] for problem in answer["problems"]] == ["records[1].depot"]


@pytest.mark.parametrize("path", ["/models/other/predict", "/v2/models/other/infer"])
def test_another_model_is_not_found(client: Client, path: str) -> None:
    answer = client.post(path, content=records_body(parcel()))

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "There is no model 'other'. This predictor serves 'late_parcel'."


@pytest.mark.parametrize("path", ["/models/other", "/v2/models/other", "/v2/models/other/ready", "/nothing/here"])
def test_what_is_not_there_is_not_found(client: Client, path: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["status"] == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", PREDICT), ("PUT", INFER), ("DELETE", f"/models/{USE_CASE}"), ("POST", "/health/live")]
)
def test_another_method_is_not_allowed(client: Client, method: str, path: str) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_a_body_that_is_too_large_is_refused_unread(client: Client, path: str) -> None:
    answer = client.post(path, content=b" " * 10_000_001)

    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
