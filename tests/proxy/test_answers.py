"""The proxy gives the answer of a released model, bit for bit, and has its row on disk by then."""

from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest

from lake.decoder import epoch_us
from lake.log.records import MAXIMUM_RAW_BYTES, PredictionRecord
from tests.proxied import key_hash, predictions
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, scores_of, varied


def rows_of(loop: Loop, request_id: str) -> list[PredictionRecord]:
    """What stands on disk about one request."""
    return [record for record in predictions(loop.home) if record.request_id == request_id]


def test_both_interfaces_give_the_score_of_the_arm_that_answers(loop: Loop) -> None:
    arms = set()
    for row in varied(30):
        predicted = loop.client.post(PREDICT, content=records_body(row))
        inferred = loop.client.post(INFER, content=tensors_body(row))
        arm = predicted.json()["provenance"]["arm"]
        assert scores_of(predicted.content) == scores_of(inferred.content, "infer") == [loop.toys[arm].score(row)]
        assert inferred.json()["parameters"]["arm"] == arm
        arms.add(arm)

    assert arms == {"champion", "challenger"}


def test_an_entity_meets_one_arm_and_a_routing_key_takes_its_place(loop: Loop) -> None:
    def arm(entity: str, **headers: str) -> str:
        answer = loop.client.post(PREDICT, content=records_body(parcel(parcel_id=entity)), headers=headers)
        return str(answer.json()["provenance"]["arm"])

    entities = [f"E-{number}" for number in range(20)]
    once, again = ([arm(entity) for entity in entities] for _ in range(2))
    assert once == again
    assert set(once) == {"champion", "challenger"}
    assert len({arm(entity, **{"trainserve-routing-key": "K"}) for entity in entities}) == 1


def test_the_row_is_on_disk_when_the_answer_arrives(loop: Loop) -> None:
    for number, row in enumerate(varied(20)):
        answer = loop.client.post(PREDICT, content=records_body(row, id=f"order {number}"))

        [logged] = rows_of(loop, answer.headers["trainserve-request-id"])
        assert logged.scores == logged.answer == scores_of(answer.content)
        assert (logged.outcome, logged.status, logged.client_request_id) == ("answered", 200, f"order {number}")


def test_a_row_says_what_was_asked_when_and_who_answered(loop: Loop) -> None:
    before = datetime.now(timezone.utc)
    row = parcel(parcel_id="P-77", sent_at="2013-07-02T08:00:00+02:00", carrier=None)
    answer = loop.client.post(PREDICT, content=records_body(row)).json()

    who = answer["provenance"]
    [logged] = rows_of(loop, who["request_id"])
    assert UUID(who["request_id"]).version == 7
    assert (logged.use_case, logged.row, logged.purpose, logged.attempts) == (USE_CASE, 0, "answer", 1)
    assert (logged.arm, logged.role, logged.package_digest) == (who["arm"], who["role"], who["package_digest"])
    assert (logged.release_seq, logged.engine) == (who["release_seq"], "lignum")
    assert logged.rule == ("share" if logged.role == "challenger" else "champion")
    assert logged.parameters_version == 0
    assert logged.event_time_us == epoch_us(datetime(2013, 7, 2, 6, tzinfo=timezone.utc))
    assert epoch_us(before) <= logged.received_at_us <= epoch_us(datetime.now(timezone.utc))
    assert logged.entity_key_hash == logged.routing_key_hash == key_hash(loop.home, "P-77")
    assert 0 < (logged.upstream_latency_us or 0) <= logged.latency_us < 60_000_000
    assert (logged.raw, logged.client_id, logged.client_request_id) == (None, None, None)


def test_a_batch_leaves_a_row_for_each_of_its_rows(loop: Loop) -> None:
    rows = varied(100)
    answer = loop.client.post(INFER, content=tensors_body(*rows))

    logged = rows_of(loop, answer.headers["trainserve-request-id"])
    assert [record.row for record in logged] == list(range(100))
    assert [record.scores for record in logged] == [[score] for score in scores_of(answer.content, "infer")]
    assert [record.entity_key_hash for record in logged] == [key_hash(loop.home, row["parcel_id"]) for row in rows]
    assert len({record.arm for record in logged}) == 1


@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        (PREDICT, b"", ["body"]),
        (PREDICT, b'{"records": [{"weight_kg": NaN}]}', ["body"]),
        (PREDICT, records_body(parcel(weight_kg="heavy")), ["records[0].weight_kg"]),
        (PREDICT, records_body(parcel(), parcel(depot="west", stops=-1)), ["records[1].depot", "records[1].stops"]),
        (PREDICT, b"\xff" * 100_000, ["body"]),
        (INFER, b"{}", ["body"]),
        (INFER, tensors_body(parcel(weight_kg=-1)), ["inputs[4].data[0]"]),
    ],
)
def test_a_refused_request_is_a_row_with_the_beginning_of_its_body(
    loop: Loop, path: str, body: bytes, problems: list[str]
) -> None:
    answer = loop.client.post(path, content=body)
    document = answer.json()

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert [problem["path"] for problem in document["problems"]] == problems
    [logged] = rows_of(loop, document["request_id"])
    assert (logged.outcome, logged.status, logged.attempts) == ("refused", 400, 0)
    assert logged.raw == body[:MAXIMUM_RAW_BYTES]
    assert logged.event_time_us == logged.received_at_us
    assert (logged.features, logged.scores, logged.answer, logged.arm) == (None, None, None, None)


@pytest.mark.parametrize("path", ["/models/other/predict", "/v2/models/other/infer"])
def test_another_use_case_is_not_found_and_leaves_no_row(loop: Loop, path: str) -> None:
    before = len(predictions(loop.home))
    answer = loop.client.post(path, content=records_body(parcel()))

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == "There is no model 'other'. This proxy answers for ['late_parcel']."
    assert len(predictions(loop.home)) == before


@pytest.mark.parametrize(("method", "path", "status"), [("GET", PREDICT, 405), ("POST", PREDICT, 413), ("GET", "/nothing", 404)])
def test_what_the_framework_refuses_is_a_problem_too(loop: Loop, method: str, path: str, status: int) -> None:
    answer = loop.client.request(method, path, content=b" " * 10_000_001 if status == 413 else None)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


def test_every_key_is_there_once(loop: Loop) -> None:
    for row in varied(10):
        loop.client.post(PREDICT, content=records_body(row, row))
    keys: list[tuple[Any, ...]] = [(record.request_id, record.row, record.arm) for record in predictions(loop.home)]

    assert len(set(keys)) == len(keys) >= 20
