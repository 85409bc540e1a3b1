"""Both interfaces give, bit for bit, the score of the trained model."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from serving.prediction import ROWS_ON_THE_LOOP
from tests.any_parcel import ROW
from tests.scenario import USE_CASE, parcel, records_body, tensors_body, without
from tests.served import INFER, PREDICT, Client, scores_of, toy, varied


def predicted(client: Client, *rows: dict[str, Any]) -> list[float]:
    answer = client.post(PREDICT, content=records_body(*rows))
    assert answer.status_code == 200, answer.text
    return scores_of(answer.content)


def inferred(client: Client, *rows: dict[str, Any]) -> list[float]:
    answer = client.post(INFER, content=tensors_body(*rows))
    assert answer.status_code == 200, answer.text
    return scores_of(answer.content, "infer")


def test_both_interfaces_give_the_trained_models_score(client: Client) -> None:
    rows = varied(60)
    truth = [toy().score(row) for row in rows]

    assert len(set(truth)) > 20, "the toy tells parcels apart"
    assert [predicted(client, row)[0] for row in rows] == truth
    assert [inferred(client, row)[0] for row in rows] == truth


@pytest.mark.parametrize("count", [2, ROWS_ON_THE_LOOP, ROWS_ON_THE_LOOP + 1, 500])
def test_a_batch_equals_its_single_rows(client: Client, count: int) -> None:
    rows = varied(count)
    truth = [toy().score(row) for row in rows]

    assert predicted(client, *rows) == truth
    assert inferred(client, *rows) == truth


@settings(max_examples=50)
@given(row=ROW)
def test_any_valid_row_gets_the_trained_models_score(client: Client, row: dict[str, Any]) -> None:
    assert predicted(client, row) == inferred(client, row) == [toy().score(row)]


def test_the_order_of_fields_does_not_matter(client: Client) -> None:
    backwards = dict(reversed(parcel().items()))

    assert predicted(client, backwards) == predicted(client, parcel())
    assert inferred(client, backwards) == inferred(client, parcel())


def test_a_null_is_the_same_as_a_field_left_out(client: Client) -> None:
    left_out = without(parcel(), "carrier", "distance_km", "stops")

    assert predicted(client, left_out) == predicted(client, parcel(carrier=None, distance_km=None, stops=None))


def test_an_answer_says_who_gave_it_and_echoes_the_clients_id(client: Client) -> None:
    release = client.get(f"/models/{USE_CASE}").json()
    answer = client.post(PREDICT, content=records_body(parcel(), id="order 7"), headers={"trainserve-request-id": "r-1"}).json()

    assert answer["id"] == "order 7"
    assert (answer["model_name"], answer["model_version"]) == (USE_CASE, release["model_version"])
    assert answer["provenance"] == {
        "request_id": "r-1",
        "arm": "champion",
        "role": "champion",
        "release_seq": 1,
        "package_digest": release["package_digest"],
        "engine": "lignum",
    }


def test_the_protocols_answer_has_a_tensor_an_id_and_who_gave_it(client: Client) -> None:
    answer = client.post(INFER, content=tensors_body(*varied(3), id="order 7")).json()

    assert answer["id"] == "order 7"
    assert answer["parameters"]["arm"] == "champion"
    outputs = {output["name"]: (output["datatype"], output["shape"]) for output in answer["outputs"]}
    assert outputs == {"score": ("FP64", [3]), "unknown_categories": ("BYTES", [3])}


def test_without_the_clients_id_the_protocols_answer_has_the_requests(client: Client) -> None:
    first, second = (msgspec.json.decode(client.post(INFER, content=tensors_body(parcel())).content) for _ in range(2))

    assert first["id"] == first["parameters"]["request_id"]
    assert first["id"] != second["id"]
