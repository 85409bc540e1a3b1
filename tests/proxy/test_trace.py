"""The trace that a request belongs to goes through the proxy to the predictor, and stands in the row."""

from typing import Any

import pytest
from litestar import Litestar, Request, Response, post
from litestar.params import FromPath, RawBody

from lake.home import Home
from tests.proxied import parameters, predictions, proxied
from tests.proxy.conftest import Loop
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, listening, toy, varied

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("sent", "handed_on", "logged"),
    [
        ({"traceparent": PARENT, "tracestate": "a=1"}, (PARENT, "a=1"), TRACE),
        ({"traceparent": PARENT}, (PARENT, None), TRACE),
        ({"traceparent": "00-0-0-0", "tracestate": "a=1"}, (None, None), None),
        ({}, (None, None), None),
    ],
)
def test_the_predictor_is_told_the_trace_unchanged_or_none(
    home: Home, approver: Approver, sent: dict[str, str], handed_on: tuple[str | None, str | None], logged: str | None
) -> None:
    approver.release(toy())
    told: list[tuple[str | None, str | None]] = []

    @post("/models/{name:str}/predict")
    async def predict(name: FromPath[str], body: RawBody, request: Request[Any, Any, Any]) -> Response[bytes]:
        assert (name, bool(body)) == (USE_CASE, True)
        told.append((request.headers.get("traceparent"), request.headers.get("tracestate")))
        return Response(b"{}", status_code=500, media_type="application/json")

    with (
        listening(Litestar([predict], logging_config=None)) as url,
        proxied(home, parameters({"champion": url})) as client,
    ):
        answer = client.post(PREDICT, content=records_body(parcel()), headers=sent)

    assert set(told) == {handed_on}
    assert [row.trace_id for row in predictions(home)] == [logged]
    assert "traceparent" not in answer.headers


def test_each_row_of_an_answer_stands_in_the_trace(loop: Loop) -> None:
    answer = loop.client.post(PREDICT, content=records_body(*varied(3)), headers={"traceparent": PARENT})

    rows = [row for row in predictions(loop.home) if row.request_id == answer.headers["trainserve-request-id"]]
    assert [row.trace_id for row in rows] == [TRACE] * 3
