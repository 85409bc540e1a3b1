"""What a predictor tells those who run it, and clients of the Open Inference Protocol that ask before they send."""

import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from serving.app import create_app
from tests.scenario import USE_CASE, parcel, parcel_schema, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, eventually, toy, varied


def metric(client: Client, name: str, **labels: str) -> float:
    """One sample of `/metrics`."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    wanted = {"use_case": USE_CASE, "arm": "champion", **labels}
    [value] = [
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if (sample.name, sample.labels) == (name, wanted)
    ]
    return float(value)


def test_requests_are_counted_by_interface_and_outcome(home: Home, approver: Approver) -> None:
    requests = "trainserve_predictor_requests_total"
    with Client(create_app(home, USE_CASE, "champion")) as client:
        client.post(PREDICT, content=records_body(parcel()))
        assert metric(client, requests, interface="predict", outcome="unavailable", engine="none", model="none") == 1
        assert metric(client, "trainserve_predictor_release_seq") == 0

        digest = approver.release(toy())
        eventually(lambda: client.get("/health/ready").status_code == 200)
        client.post(PREDICT, content=records_body(*varied(3)))
        client.post(PREDICT, content=records_body(parcel(weight_kg=-1)))
        client.post(INFER, content=tensors_body(*varied(2)))
        for other in ("/v2/models/other/infer", f"/v2/models/{USE_CASE}/versions/9/infer"):
            assert client.post(other, content=tensors_body(parcel())).status_code == 404
        assert client.post(INFER, content=b"", headers={"content-type": "text/plain"}).status_code == 415

        model = {"engine": "lignum", "model": f"{USE_CASE} 1.0.0"}
        assert metric(client, requests, interface="predict", outcome="answered", **model) == 1
        assert metric(client, requests, interface="predict", outcome="refused", engine="none", model="none") == 1
        assert metric(client, requests, interface="infer", outcome="answered", **model) == 1
        assert metric(client, requests, interface="infer", outcome="refused", engine="none", model="none") == 3
        assert metric(client, "trainserve_predictor_model", package_digest=digest, **model) == 1
        assert metric(client, "trainserve_predictor_rows_total") == 5
        assert metric(client, "trainserve_predictor_latency_seconds_count", interface="predict") == 1
        assert metric(client, "trainserve_predictor_release_seq") == 1
        assert metric(client, "trainserve_predictor_alarm") == 0


def test_an_alarm_is_a_metric_too(home: Home, approver: Approver) -> None:
    digest = approver.release(toy())
    approver.decide("approve", "f" * 64)
    with Client(create_app(home, USE_CASE, "champion")) as client:
        assert metric(client, "trainserve_predictor_alarm") == 1
        assert metric(client, "trainserve_predictor_release_seq") == 0
        approver.decide("revoke", "f" * 64)
        eventually(lambda: metric(client, "trainserve_predictor_release_seq") == 1)
        assert metric(client, "trainserve_predictor_alarm") == 0
        assert client.get("/health/ready").json()["package_digest"] == digest


def test_where_an_engine_is_not_installed_the_models_own_answers_and_all_are_told(
    home: Home, approver: Approver, monkeypatch: pytest.MonkeyPatch
) -> None:
    approver.release(toy())
    monkeypatch.setitem(sys.modules, "lignum", None)
    with Client(create_app(home, USE_CASE, "champion")) as client:
        assert client.post(PREDICT, content=records_body(*varied(3))).json()["provenance"]["engine"] == "catboost"
        note = client.get(f"/models/{USE_CASE}").json()["engine_note"]
        assert note.startswith("catboost answers in the place of lignum: import of lignum halted")
        assert metric(client, "trainserve_predictor_engine", engine="catboost") == 1
        assert metric(client, "trainserve_predictor_engine_instead") == 1


def test_readiness_names_the_release(client: Client) -> None:
    ready = client.get("/health/ready").json()

    assert ready.pop("lake")["reachable"]
    assert ready == {
        "ready": True,
        "arm": "champion",
        "release_seq": 1,
        "model_version": f"{USE_CASE} 1.0.0",
        "package_digest": client.get(f"/models/{USE_CASE}").json()["package_digest"],
        "package_source": "lake",
        "expires_at_utc": client.get(f"/models/{USE_CASE}").json()["expires_at_utc"],
        "alarm": None,
        "notice": None,
    }


def test_the_model_says_who_approved_it_and_gives_an_example_that_works(client: Client) -> None:
    model = client.get(f"/models/{USE_CASE}").json()

    assert (model["approver"], model["approvers"], model["role"]) == ("ada", ["ada"], "champion")
    assert (model["identity"], model["notice"]) == ("claimed", None)
    assert model["identity_note"] == "The approver's name is claimed in the run's config, not proven by a signature."
    assert model["features"] == ["depot", "carrier", "weight_kg", "distance_km", "stops", "express"]
    assert client.post(PREDICT, json=model["example"]).status_code == 200


def test_a_client_of_the_protocol_can_build_its_request_from_the_metadata(client: Client) -> None:
    metadata = client.get(f"/v2/models/{USE_CASE}").json()
    row = parcel()
    inputs = [
        {"name": one["name"], "datatype": one["datatype"], "shape": [1], "data": [row[one["name"]]]} for one in metadata["inputs"]
    ]

    assert [one["name"] for one in metadata["inputs"]] == list(parcel_schema().names)
    assert all(one["shape"] == [-1] for one in metadata["inputs"])
    assert (metadata["name"], metadata["platform"], len(metadata["versions"])) == (USE_CASE, "lignum", 1)
    answer = client.post(INFER, json={"inputs": inputs}).json()
    assert [(one["name"], one["datatype"]) for one in answer["outputs"]] == [
        (one["name"], one["datatype"]) for one in metadata["outputs"]
    ]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", f"/v2/models/{USE_CASE}/ready"])
def test_the_protocols_health_pages_answer(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_the_protocols_server_page_names_the_server(client: Client) -> None:
    server = client.get("/v2").json()

    assert (server["name"], server["extensions"]) == ("trainserve-predictor", ["binary_tensor_data"])
    assert server["version"]


def test_the_protocols_model_is_not_ready_before_a_release(home: Home) -> None:
    with Client(create_app(home, USE_CASE, "champion")) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get(f"/v2/models/{USE_CASE}/ready").status_code == 503
