"""A category that the model does not know is answered, flagged and counted, or refused, as its field says."""

from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.home import Home
from lake.input_schema import InputSchema
from serving.app import create_app
from tests.protocol import outputs_of
from tests.scenario import USE_CASE, parcel, parcel_schema, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, toy


def counted(client: Client) -> dict[str, float]:
    """Rows with an unknown category, by field."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    name = "trainserve_predictor_unknown_categories_total"
    return {one.labels["field"]: one.value for family in families for one in family.samples if one.name == name}


def open_schema() -> InputSchema:
    """Parcels whose carrier may be any text: what is known of it, is what the model was trained on."""
    fields = tuple(
        msgspec.structs.replace(field, categories=()) if field.name == "carrier" else field for field in parcel_schema().fields
    )
    return parcel_schema(fields=fields)


@pytest.fixture(params=[parcel_schema, open_schema], ids=["a list of categories", "any text"])
def asked(request: pytest.FixtureRequest, home: Home) -> Iterator[Client]:
    """A predictor of its own, for tests that count."""
    Approver(home, request.param()).release(toy())
    with Client(create_app(home, USE_CASE, "champion")) as client:
        yield client


def test_it_is_answered_and_the_answer_says_so(asked: Client) -> None:
    rows = [parcel(), parcel(carrier="drone"), parcel(carrier=None), parcel(carrier="")]
    answer = asked.post(PREDICT, content=records_body(*rows)).json()

    assert [row.get("unknown_categories") for row in answer["predictions"]] == [None, ["carrier"], None, ["carrier"]]
    assert [row["score"] for row in answer["predictions"]] == [toy().score(row) for row in rows]
    outputs = outputs_of(asked.post(INFER, content=tensors_body(*rows)))
    assert outputs["unknown_categories"] == ["", "carrier", "", "carrier"]


def test_it_is_counted_by_its_field(asked: Client) -> None:
    assert counted(asked) == {}
    asked.post(PREDICT, content=records_body(parcel(), parcel(carrier="drone")))
    asked.post(INFER, content=tensors_body(*[parcel(carrier="rocket")] * 100))

    assert counted(asked) == {"carrier": 101}


def test_of_a_field_that_refuses_them_nothing_is_answered(asked: Client) -> None:
    answer = asked.post(PREDICT, content=records_body(parcel(), parcel(depot="west")))

    assert (answer.status_code, [one["path"] for one in answer.json()["problems"]]) == (400, ["records[1].depot"])
    assert counted(asked) == {}


def test_what_no_model_makes_use_of_is_not_flagged(asked: Client) -> None:
    answer = asked.post(PREDICT, content=records_body(parcel(parcel_id="never seen"))).json()

    assert "unknown_categories" not in answer["predictions"][0]
