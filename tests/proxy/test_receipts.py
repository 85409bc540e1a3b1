"""Every answer carries the receipt of its rows, and on request the proof, which holds with the log's public key alone."""

from typing import Any

import msgspec
import pytest

from lake.errors import VerificationError
from lake.log.log_key import read_trusted_log
from lake.log.receipts import Proof, check_proof
from lake.log.records import PredictionRecord, decode_record
from tests.proxied import predictions
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, scores_of, varied

LABELS = f"/models/{USE_CASE}/labels"


def proven(loop: Loop, document: Any) -> list[Any]:
    """The records that the proof in an answer holds, once it is found to hold."""
    proof = msgspec.convert(document["proof"], Proof)
    check_proof(proof, read_trusted_log(loop.home.keys))
    return [decode_record(one.record) for one in proof.records]


def test_an_answer_carries_the_place_of_its_rows_in_the_log(loop: Loop) -> None:
    answers = [loop.client.post(PREDICT, content=records_body(*varied(rows))) for rows in (1, 3)]

    for rows, answer in zip((1, 3), answers, strict=True):
        receipt = dict(part.split("=") for part in answer.headers["trainserve-receipt"].split(", "))
        assert list(receipt) == ["slot", "seq", "rows", "commit", "root"]
        assert (int(receipt["rows"]), len(receipt["root"])) == (rows, 34)
        assert "proof" not in answer.json()
    first, second = (answer.headers["trainserve-receipt"].split(", ") for answer in answers)
    assert first[0] == second[0]
    assert int(second[1].removeprefix("seq=")) > int(first[1].removeprefix("seq="))


@pytest.mark.parametrize(("path", "body"), [(PREDICT, records_body), (INFER, tensors_body)])
def test_the_proof_of_an_answer_holds_every_row_as_it_was_logged(loop: Loop, path: str, body: Any) -> None:
    answer = loop.client.post(path, content=body(*varied(5)), headers={"trainserve-proof": "1"})

    records = proven(loop, answer.json())
    assert [record.answer for record in records] == [[score] for score in scores_of(answer.content, path.rpartition("/")[2])]
    assert {record.request_id for record in records} == {answer.headers["trainserve-request-id"]}
    assert records == [one for one in predictions(loop.home) if one.request_id == records[0].request_id]


def test_a_refusal_has_a_receipt_and_a_proof_too(loop: Loop) -> None:
    answer = loop.client.post(PREDICT, content=b'{"records": 1}', headers={"trainserve-proof": "1"})

    [record] = proven(loop, answer.json())
    assert isinstance(record, PredictionRecord)
    assert (answer.status_code, record.status, record.outcome) == (400, 400, "refused")
    assert "trainserve-receipt" in answer.headers


def test_labels_have_a_receipt_and_a_proof_too(loop: Loop) -> None:
    request_id = loop.client.post(PREDICT, content=records_body(parcel())).headers["trainserve-request-id"]
    label = {"request_id": request_id, "row": 0, "label": 1}

    answer = loop.client.post(LABELS, json={"labels": [label, label]}, headers={"trainserve-proof": "1"})

    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert [(record.request_id, record.label) for record in proven(loop, answer.json())] == [(request_id, 1.0)] * 2
    assert "rows=2" in answer.headers["trainserve-receipt"]
    assert loop.client.post(LABELS, json=label).json() == {"accepted": 1}


def test_a_proof_in_which_an_answer_was_edited_does_not_hold(loop: Loop) -> None:
    document = loop.client.post(PREDICT, content=records_body(parcel()), headers={"trainserve-proof": "1"}).json()
    proof = msgspec.convert(document["proof"], Proof)
    [proven_record] = proof.records
    record = decode_record(proven_record.record)
    edited = msgspec.msgpack.encode(msgspec.structs.replace(record, answer=[1.0]))

    with pytest.raises(VerificationError, match="bytes that lead to the root"):
        check_proof(
            msgspec.structs.replace(proof, records=(msgspec.structs.replace(proven_record, record=edited),)),
            read_trusted_log(loop.home.keys),
        )
