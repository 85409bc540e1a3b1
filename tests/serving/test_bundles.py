"""Bundles at a predictor: each request in one is answered as if it had come alone, and what is none is refused."""

from pathlib import Path

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.home import Home
from lake.interface.bundle import BUNDLE_MEDIA_TYPE, BUNDLE_PATH, ModelRequest, encode_bundle, read_responses
from lake.interface.messages import REQUEST_ID_HEADER
from serving.app import create_app
from tests.commands import running
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import PREDICT, Approver, Client, toy
from tests.serving.test_access_log import TRACE, lines

AS_BUNDLE = {"content-type": BUNDLE_MEDIA_TYPE}
BODIES = [records_body(parcel()), b"{", b"", records_body(parcel(weight_kg="heavy")), records_body(parcel(), parcel())]


def requests_of_every_kind() -> list[ModelRequest]:
    return [
        *(ModelRequest("predict", USE_CASE, f"r-{number}", body) for number, body in enumerate(BODIES)),
        ModelRequest("infer", USE_CASE, "r-7", tensors_body(parcel())),
        ModelRequest("infer", USE_CASE, "r-8", records_body(parcel())),
        ModelRequest("predict", "nobody", "r-9", records_body(parcel())),
    ]


def test_each_is_answered_as_if_it_had_come_alone(client: Client) -> None:
    requests = requests_of_every_kind()
    alone = [client.post(one.path, content=one.body, headers={REQUEST_ID_HEADER: one.request_id}) for one in requests]

    answer = client.post(BUNDLE_PATH, content=encode_bundle(requests), headers=AS_BUNDLE)

    assert (answer.status_code, answer.headers["content-type"]) == (200, BUNDLE_MEDIA_TYPE)
    together = read_responses(answer.content, len(requests))
    assert [(one.status, one.body) for one in together] == [(one.status_code, one.content) for one in alone]
    assert {one.status for one in together} == {200, 400, 404}


def test_what_is_no_bundle_is_refused(client: Client) -> None:
    bundle = encode_bundle(requests_of_every_kind())

    cut, plain = client.post(BUNDLE_PATH, content=bundle[:-1], headers=AS_BUNDLE), client.post(BUNDLE_PATH, content=bundle)

    many, large = ([ModelRequest("predict", USE_CASE, "r", b"." * size)] * number for number, size in ((33, 1), (1, 8193)))
    for too_much in (many, large):
        answer = client.post(BUNDLE_PATH, content=encode_bundle(too_much), headers=AS_BUNDLE)
        assert (answer.status_code, answer.json()["detail"][:31]) == (400, "A bundle has at most 32 request")

    assert (cut.status_code, plain.status_code) == (400, 415)
    assert cut.json()["detail"].startswith("The body is no bundle (")
    assert plain.json()["detail"].endswith(f"expected {BUNDLE_MEDIA_TYPE}.")


def bundled(bodies: list[bytes]) -> bytes:
    return encode_bundle([ModelRequest("predict", USE_CASE, "r", body) for body in bodies])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64) | st.lists(st.binary(max_size=40), max_size=15).map(bundled))
def test_whatever_comes_is_no_error_of_the_server(client: Client, body: bytes) -> None:
    answer = client.post(BUNDLE_PATH, content=body, headers=AS_BUNDLE)

    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert all(b'"status":400' in one.body for one in read_responses(answer.content, body[0] & 0x0F))


def test_who_keeps_the_log_itself_takes_none(home: Home) -> None:
    Approver(home).release(toy())
    with Client(create_app(home, USE_CASE, "champion", log="process")) as client:
        answer = client.post(BUNDLE_PATH, content=encode_bundle(requests_of_every_kind()), headers=AS_BUNDLE)

    assert answer.status_code == 404


def test_the_access_log_has_a_line_for_each(home: Home, tmp_path: Path) -> None:
    Approver(home).release(toy())
    path = tmp_path / "access.log"
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    requests = [
        ModelRequest("predict", USE_CASE, "r-1", records_body(parcel()), trace),
        ModelRequest("predict", USE_CASE, "r-2", b"{"),
    ]
    with running(home, "predictor", USE_CASE, "--access-log", str(path)) as server:
        httpx.post(f"{server.url}{BUNDLE_PATH}", content=encode_bundle(requests), headers=AS_BUNDLE, trust_env=False)
        assert server.stop() == 0

    found = [(line["path"], line["status"], line["request_id"], line["trace_id"]) for line in lines(path.read_text())]
    assert found == [(PREDICT, 200, "r-1", TRACE), (PREDICT, 400, "r-2", None)]
