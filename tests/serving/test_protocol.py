"""The Open Inference Protocol: versions, outputs, datatypes, and tensors as bytes behind the JSON."""

import struct
from typing import Any

import msgspec
import pytest

from lake.home import Home
from serving.app import create_app
from tests.protocol import JSON_LENGTH, binary_body, outputs_of
from tests.scenario import USE_CASE, parcel, tensors_body
from tests.served import INFER, Approver, Client, toy, varied

MODEL = f"/v2/models/{USE_CASE}"
VERSION = f"{MODEL}/versions/{USE_CASE}-1.0.0"


def tensors(*rows: dict[str, Any], **changes: Any) -> bytes:
    """A request with members of some of its tensors replaced."""
    request = msgspec.json.decode(tensors_body(*rows))
    return msgspec.json.encode({"inputs": [{**one, **changes.get(one["name"], {})} for one in request["inputs"]]})


def test_what_is_asked_of_the_version_that_is_served_is_answered(client: Client) -> None:
    assert client.get(VERSION).json() == client.get(MODEL).json()
    assert client.get(f"{VERSION}/ready").json() == {"name": USE_CASE, "ready": True}
    assert client.get(MODEL).json()["versions"] == [f"{USE_CASE}-1.0.0"]
    assert client.get(f"{MODEL}/versions/{USE_CASE}%201.0.0/ready").status_code == 200
    answer = client.post(f"{VERSION}/infer", content=tensors_body(parcel()))
    assert outputs_of(answer)["score"] == [toy().score(parcel())]
    assert answer.json()["model_version"] == f"{USE_CASE}-1.0.0"


@pytest.mark.parametrize("below", ["", "/ready", "/infer"])
def test_another_version_is_not_found(client: Client, below: str) -> None:
    path = f"{MODEL}/versions/2{below}"
    answer = client.post(path, content=tensors_body(parcel())) if below == "/infer" else client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["error"] == f"There is no version '2'. {USE_CASE!r} is served in version '{USE_CASE}-1.0.0'."


def test_tensors_as_bytes_get_what_tensors_in_json_get(client: Client) -> None:
    rows = varied(50)
    body, headers = binary_body(*rows)
    answer = client.post(INFER, content=body, headers=headers)

    assert answer.headers["content-type"] == "application/json"
    assert outputs_of(answer) == outputs_of(client.post(INFER, content=tensors_body(*rows)))
    assert outputs_of(answer)["score"] == [toy().score(row) for row in rows]


def test_an_answer_is_bytes_where_bytes_are_wanted(client: Client) -> None:
    rows = varied(20)
    wanted = client.post(INFER, content=tensors_body(*rows, parameters={"binary_data_output": True}))
    plain = client.post(INFER, content=tensors_body(*rows))

    assert wanted.headers["content-type"] == "application/octet-stream"
    assert int(wanted.headers[JSON_LENGTH]) < len(wanted.content)
    assert outputs_of(wanted) == outputs_of(plain)
    document = msgspec.json.decode(wanted.content[: int(wanted.headers[JSON_LENGTH])])
    assert [output["parameters"] for output in document["outputs"]] == [
        {"binary_data_size": 160},
        {"binary_data_size": sum(4 + len(value) for value in outputs_of(plain)["unknown_categories"])},
    ]


def test_each_output_may_be_asked_for_in_its_own_form_and_order(client: Client) -> None:
    outputs = [{"name": "unknown_categories"}, {"name": "score", "parameters": {"binary_data": True}}]
    answer = client.post(INFER, content=tensors_body(parcel(carrier="drone"), outputs=outputs))

    assert list(outputs_of(answer).items()) == [
        ("unknown_categories", ["carrier"]),
        ("score", [toy().score(parcel(carrier="drone"))]),
    ]


def test_only_the_outputs_that_are_asked_for_are_given(client: Client) -> None:
    overridden = [{"name": "score", "parameters": {"binary_data": False}}]
    answer = client.post(
        INFER, content=tensors_body(parcel(), outputs=overridden, parameters={"binary_data_output": True, "of_nobody": 1})
    )

    assert answer.headers["content-type"] == "application/json"
    assert list(outputs_of(answer)) == ["score"]


def test_a_matrix_with_one_column_may_be_nested(client: Client) -> None:
    rows = varied(5)
    request = msgspec.json.decode(tensors_body(*rows))
    for one in request["inputs"]:
        one.update(shape=[5, 1], data=[[value] for value in one["data"]])

    assert outputs_of(client.post(INFER, json=request))["score"] == [toy().score(row) for row in rows]


@pytest.mark.parametrize("datatype", ["FP32", "FP16"])
def test_a_number_is_what_its_datatype_holds_of_it(client: Client, datatype: str) -> None:
    kind = {"FP32": "f", "FP16": "e"}[datatype]
    [rounded] = struct.unpack(f"<{kind}", struct.pack(f"<{kind}", 40.3))
    assert rounded != 40.3
    body, headers = binary_body(parcel(distance_km=40.3), datatypes={"distance_km": "FP32"})

    as_json = client.post(INFER, content=tensors(parcel(distance_km=40.3), distance_km={"datatype": datatype}))
    exact = client.post(INFER, content=tensors_body(parcel(distance_km=rounded)))
    assert outputs_of(as_json) == outputs_of(exact)
    if datatype == "FP32":
        assert outputs_of(client.post(INFER, content=body, headers=headers)) == outputs_of(exact)


@pytest.mark.parametrize("datatype", ["INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8"])
def test_integers_of_every_width_are_integers_and_numbers(client: Client, datatype: str) -> None:
    of = {"datatype": datatype}
    answer = client.post(INFER, content=tensors(parcel(weight_kg=100, stops=7), weight_kg=of, stops=of))

    assert outputs_of(answer)["score"] == [toy().score(parcel(weight_kg=100.0, stops=7))]


def test_a_null_in_a_tensor_of_another_datatype_stays_one(client: Client) -> None:
    answer = client.post(INFER, content=tensors(parcel(distance_km=None), distance_km={"datatype": "FP32"}))

    assert outputs_of(answer)["score"] == [toy().score(parcel(distance_km=None))]


def test_an_empty_id_is_an_id(client: Client) -> None:
    assert client.post(INFER, content=tensors_body(parcel(), id="")).json()["id"] == ""


def test_the_signature_says_what_a_row_may_hold_and_what_is_answered(client: Client) -> None:
    signature = client.get(f"/models/{USE_CASE}").json()["signature"]
    fields = {field["name"]: field for field in signature["inputs"]}

    weight = {"type": "number", "datatype": "FP64", "nullable": False, "unit": "kg", "minimum": 0.0, "maximum": 1000.0}
    assert fields["weight_kg"] == {"name": "weight_kg", **weight}
    assert fields["depot"]["categories"] == ["north", "south", "harbour"]
    assert (fields["depot"]["unknown_category"], fields["carrier"]["unknown_category"]) == ("refuse", "flag")
    assert [(one["name"], one["datatype"], one["shape"]) for one in signature["outputs"]] == [
        ("score", "FP64", [-1]),
        ("unknown_categories", "BYTES", [-1]),
    ]
    assert all(one["description"] for one in signature["outputs"])


def test_before_a_release_no_version_is_served(home: Home, approver: Approver) -> None:
    with Client(create_app(home, USE_CASE, "champion")) as client:
        assert client.get(f"{VERSION}/ready").status_code == 503
        assert client.post(f"{VERSION}/infer", content=tensors_body(parcel())).status_code == 503
        approver.release(toy())
