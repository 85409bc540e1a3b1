"""Without a proxy the predictor keeps the log itself: what the proxy promises of its log holds here too."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lake.credentials import add_credential
from lake.delta import Table
from lake.home import Home
from lake.interface.strangers import STRANGERS_PER_S
from lake.log.audit import Audit, Scope
from lake.log.claims import Judge
from lake.log.evidence import gather
from lake.log.log_key import read_trusted_log
from lake.log.receipts import Proof, check_proof
from lake.log.records import PredictionRecord, decode_record
from lake.log.shipper import Shipper
from lake.release.trust import Trust
from lake.tables import LABELS, PREDICTIONS
from serving.app import create_app
from tests.disks import fill, small_disk
from tests.proxied import key_hash, labels, logged, parameters, predictions, proxied
from tests.scenario import USE_CASE, parcel, private_schema, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, eventually, listening, scores_of, toy, varied
from tests.serving.test_operation import metric

LABEL = f"/models/{USE_CASE}/labels"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def alone(home: Home, approver: Approver) -> Iterator[Client]:
    """A predictor of a released toy that stands alone."""
    approver.release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        yield client


@pytest.mark.parametrize(("path", "body"), [(PREDICT, records_body), (INFER, tensors_body)])
def test_every_row_of_an_answer_is_on_disk_before_it_is_sent(home: Home, alone: Client, path: str, body: Any) -> None:
    answer = alone.post(path, content=body(*varied(3), id="mine"))

    rows = predictions(home)
    scores = scores_of(answer.content, path.rpartition("/")[2])
    assert [(row.row, row.scores, row.answer) for row in rows] == [(at, [one], [one]) for at, one in enumerate(scores)]
    assert {row.request_id for row in rows} == {answer.headers["trainserve-request-id"]}
    assert {(row.outcome, row.status, row.arm, row.role, row.release_seq, row.engine) for row in rows} == {
        ("answered", 200, "champion", "champion", 1, "lignum")
    }
    assert {(row.rule, row.attempts, row.client_request_id, row.parameters_version) for row in rows} == {
        ("stand-alone", 0, "mine", 0)
    }
    assert rows[0].features["parcel_id"] == "P-0"
    assert rows[0].entity_key_hash == key_hash(home, "P-0")


def test_what_is_refused_and_what_fails_leaves_a_row_too(home: Home, approver: Approver) -> None:
    digest = approver.seal(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        unreleased = client.post(PREDICT, content=records_body(parcel()))
        approver.decide("approve", digest)
        eventually(lambda: client.get("/health/ready").status_code == 200)
        refused = client.post(PREDICT, content=b'{"records": 1}')
        approver.decide("revoke", digest)
        eventually(lambda: client.get("/health/ready").status_code == 503)
        revoked = client.post(PREDICT, content=records_body(parcel()))

    answers = (unreleased, refused, revoked)
    assert [answer.status_code for answer in answers] == [503, 400, 503]
    assert [answer.headers["content-type"] for answer in answers] == ["application/problem+json"] * 3
    rows = predictions(home)
    assert [(row.outcome, row.status, row.raw, row.scores) for row in rows] == [
        ("failed", 503, None, None),  # before a model was loaded nobody knew what may be kept
        ("refused", 400, b'{"records": 1}', None),
        ("failed", 503, records_body(parcel()), None),
    ]
    assert [row.request_id for row in rows] == [answer.headers["trainserve-request-id"] for answer in answers]
    assert [row.request_id for row in rows] == [answer.json()["request_id"] for answer in answers]


def test_an_answer_has_a_receipt_and_on_request_its_proof(home: Home, alone: Client) -> None:
    for content, status in ((records_body(*varied(2)), 200), (b"{", 400)):
        answer = alone.post(PREDICT, content=content, headers={"trainserve-proof": "1"})
        proof = msgspec.convert(answer.json()["proof"], Proof)
        check_proof(proof, read_trusted_log(home.keys))
        proven = [decode_record(one.record) for one in proof.records]

        assert answer.status_code == status
        assert f"rows={len(proven)}" in answer.headers["trainserve-receipt"]
        request_id = answer.headers["trainserve-request-id"]
        assert proven == [row for row in predictions(home) if row.request_id == request_id]


def test_while_the_log_cannot_be_written_nothing_is_answered(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with (
        small_disk(home.spools, 256) as disk,
        Client(create_app(home, USE_CASE, "champion", log="disk")) as client,
    ):
        ballast = fill(disk)
        answers = [client.post(PREDICT, content=records_body(parcel(carrier="x" * 200))) for _ in range(100)]
        ready = client.get("/health/ready")
        failed = metric(client, "trainserve_predictor_requests_total", interface="predict", outcome="unlogged", **NONE)
        ballast.unlink()
        eventually(lambda: client.get("/health/ready").status_code == 200, within_s=5)
        answers.append(client.post(PREDICT, content=records_body(parcel())))

        statuses = [answer.status_code for answer in answers]
        assert (statuses[-2], statuses[-1], {*statuses}) == (503, 200, {200, 503})
        assert "Nothing was answered unlogged" in answers[-2].json()["detail"]
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert ready.json()["alarm"].startswith("the log cannot be written: ")
        assert failed == statuses.count(503)
        acknowledged = [answer.headers["trainserve-request-id"] for answer in answers if answer.status_code == 200]
        assert [row.request_id for row in predictions(home)] == acknowledged


NONE = {"engine": "none", "model": "none"}


def test_of_sensitive_fields_the_log_keeps_hashes_and_of_wrong_bodies_nothing(home: Home) -> None:
    Approver(home, private_schema()).release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        client.post(PREDICT, content=records_body(parcel(parcel_id="secret")))
        client.post(PREDICT, content=records_body(parcel(parcel_id="secret", weight_kg="heavy")))

    answered, refused = predictions(home)
    assert (answered.outcome, refused.outcome, refused.raw) == ("answered", "refused", None)
    assert b"secret" not in b"".join(path.read_bytes() for path in home.spools.rglob("*") if path.is_file())


def test_labels_are_taken_as_a_proxy_takes_them(home: Home, alone: Client) -> None:
    request_id = alone.post(PREDICT, content=records_body(parcel())).headers["trainserve-request-id"]
    label = {"request_id": request_id, "label": 1}
    accepted = alone.post(LABEL, json={"labels": [label, label]}, headers={"trainserve-proof": "1"})
    refused = alone.post(LABEL, json={"request_id": request_id, "label": "late"})
    unknown = alone.post("/models/other/labels", json=label)

    assert (accepted.status_code, accepted.json()["accepted"], refused.status_code, unknown.status_code) == (202, 2, 400, 404)
    check_proof(msgspec.convert(accepted.json()["proof"], Proof), read_trusted_log(home.keys))
    assert [(one.request_id, one.label) for one in labels(home)] == [(request_id, 1.0)] * 2


def test_the_loop_goes_on_from_its_rows(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        request_id = client.post(PREDICT, content=records_body(*varied(5))).headers["trainserve-request-id"]
        client.post(LABEL, json={"request_id": request_id, "row": 2, "label": 1})
    Shipper(home).ship()

    assert Table(home.lake, USE_CASE, PREDICTIONS).scan().collect()["request_id"].to_list() == [request_id] * 5
    assert Table(home.lake, USE_CASE, LABELS).scan().collect()["row"].to_list() == [2]
    assert list(Audit(home, Scope()).findings()) == []
    claims = {
        claim.about: claim for claim in Judge(gather(home, request_id), read_trusted_log(home.keys), Trust.read(home)).claims()
    }
    assert claims["The routing"].found == "Not routed: the predictor of arm 'champion' was asked itself, and kept the log."
    assert {about: claims[about].holds for about in ("The log", "The routing", "The release", "The scores", "The answer")} == {
        "The log": True,
        "The routing": True,
        "The release": True,
        "The scores": True,
        "The answer": True,
    }


def test_the_trace_that_a_request_belongs_to_stands_in_its_rows(home: Home, alone: Client) -> None:
    alone.post(PREDICT, content=records_body(*varied(2)), headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    alone.post(PREDICT, content=records_body(parcel()))

    assert [row.trace_id for row in predictions(home)] == [TRACE, TRACE, None]


def test_with_credentials_a_client_needs_its_key_and_stands_in_the_row(home: Home, approver: Approver) -> None:
    keys = {role: add_credential(home.credentials, f"the {role}", (role,)) for role in ("client", "labeller")}
    approver.release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        statuses = [
            client.post(PREDICT, content=records_body(parcel()), headers=headers).status_code
            for headers in ({}, bearer("wrong"), bearer(keys["labeller"]), bearer(keys["client"]))
        ]
        labelled = client.post(LABEL, json={"request_id": "r", "label": 1}, headers=bearer(keys["client"])).status_code

    assert (statuses, labelled) == ([401, 401, 403, 200], 403)
    assert [(row.client_id, row.outcome, row.status, row.raw) for row in predictions(home)] == [
        (None, "refused", 401, None),
        (None, "refused", 401, None),
        ("the labeller", "refused", 403, None),
        ("the client", "answered", 200, None),
    ]


def test_what_is_refused_before_it_is_read_leaves_a_row_and_is_counted(home: Home, alone: Client) -> None:
    answers = [
        alone.post(PREDICT, content=b" " * 10_000_001),
        alone.post(PREDICT, content=b"a=1", headers={"content-type": "application/x-www-form-urlencoded"}),
        alone.post(f"/v2/models/{USE_CASE}/versions/7/infer", content=tensors_body(parcel())),
        alone.post("/models/other/predict", content=b"a=1", headers={"content-type": "text/plain"}),
    ]

    assert [answer.status_code for answer in answers] == [413, 415, 404, 415]
    rows = predictions(home)
    assert [(row.outcome, row.status, row.arm, row.rule) for row in rows] == [
        ("refused", status, "champion", "stand-alone") for status in (413, 415, 404)
    ]
    assert [row.request_id for row in rows] == [answer.headers["trainserve-request-id"] for answer in answers[:3]]
    requests = "trainserve_predictor_requests_total"
    assert metric(alone, requests, interface="predict", outcome="refused", **NONE) == 3
    assert metric(alone, requests, interface="infer", outcome="refused", **NONE) == 1
    assert metric(alone, "trainserve_predictor_requests_not_logged_total", status="415") == 1


def test_strangers_leave_rows_up_to_a_limit_and_are_counted_beyond_it(home: Home, approver: Approver) -> None:
    add_credential(home.credentials, "shop", ("client",))
    approver.release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="disk")) as client:
        began = time.monotonic()
        statuses = [client.post(PREDICT, content=b"{}").status_code for _ in range(300)]
        elapsed_s = time.monotonic() - began
        rows = len(predictions(home))
        not_logged = metric(client, "trainserve_predictor_requests_not_logged_total", status="401")
        refused = metric(client, "trainserve_predictor_requests_total", interface="predict", outcome="refused", **NONE)

    assert statuses == [401] * 300
    assert 10 <= rows <= STRANGERS_PER_S * (elapsed_s + 11)
    assert (not_logged, refused) == (300 - rows, 300)


def test_without_a_log_keys_are_asked_for_only_when_told_to(home: Home, approver: Approver) -> None:
    key = add_credential(home.credentials, "shop", ("client",))
    approver.release(toy())
    for ask_keys, refused in ((True, 401), (False, 200)):
        with Client(create_app(home, USE_CASE, "champion", ask_keys=ask_keys)) as client:
            assert client.post(PREDICT, content=records_body(parcel())).status_code == refused
            assert client.post(INFER, content=tensors_body(parcel())).status_code == refused
            assert client.post(PREDICT, content=records_body(parcel()), headers=bearer(key)).status_code == 200
            assert client.get("/health/ready").status_code == 200


def test_behind_a_proxy_nothing_is_logged_twice(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with (
        listening(create_app(home, USE_CASE, "champion")) as url,
        proxied(home, parameters({"champion": url})) as client,
    ):
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
    assert len(predictions(home)) == 1

    with (
        listening(create_app(home, USE_CASE, "champion", log="disk")) as url,
        proxied(home, parameters({"champion": url})) as client,
    ):
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 502
    rows = predictions(home)
    assert (len(rows), rows[-1].rule, rows[-1].outcome) == (2, "champion", "failed"), "the proxy's own, and no other"


def test_a_client_cannot_choose_the_id_of_its_rows(home: Home, alone: Client) -> None:
    answer = alone.post(PREDICT, content=records_body(parcel()), headers={"trainserve-request-id": "mine"})

    assert answer.status_code == 421
    assert "Start it without --stand-alone" in answer.json()["detail"]
    assert logged(home) == []


def test_an_unknown_model_is_not_found_and_leaves_no_row(home: Home, alone: Client) -> None:
    assert alone.post("/models/other/predict", content=records_body(parcel())).status_code == 404
    assert logged(home) == []
    assert metric(alone, "trainserve_predictor_requests_not_logged_total", status="404") == 1
    assert metric(alone, "trainserve_predictor_requests_total", interface="predict", outcome="refused", **NONE) == 1


def test_its_page_says_that_it_logs(alone: Client) -> None:
    document = alone.get("/schema/openapi.json").json()

    assert "It stands alone" in document["info"]["description"]
    assert "/models/{name}/labels" in document["paths"]


def bearer(key: str) -> dict[str, str]:
    """The headers that carry a key."""
    return {"authorization": f"Bearer {key}"}


def test_a_record_keeps_its_place_in_the_log(home: Home, alone: Client) -> None:
    receipts = [alone.post(PREDICT, content=records_body(*varied(rows))).headers["trainserve-receipt"] for rows in (1, 3)]

    assert ["rows=1" in receipts[0], "rows=3" in receipts[1]] == [True, True]
    assert all(isinstance(record, PredictionRecord) for record in predictions(home))
