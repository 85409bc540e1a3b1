"""An answer that is not one of a live release, or that never came, is withheld: a problem for the client, a row for the log."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import pytest

from lake.home import Home
from lake.log.records import PredictionRecord
from lake.parameters import Arm
from tests.proxied import NOBODY, Answerer, answered, parameters, predictions, proxied, scripted
from tests.scenario import parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, eventually, listening, scores_of, toy

FOREIGN = "f" * 64


@contextmanager
def proxy_before(home: Home, answer: Answerer, **changes: Any) -> Iterator[Client]:
    """A proxy whose champion answers as scripted."""
    with ExitStack() as stack:
        url = stack.enter_context(listening(scripted(answer)))
        yield stack.enter_context(proxied(home, parameters({"champion": url}, **changes)))


def the_row(home: Home) -> PredictionRecord:
    """The only row that was logged."""
    [row] = predictions(home)
    return row


Script = Callable[[str, str], tuple[int, bytes]]


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (lambda request_id, live: (200, answered(request_id, live, [0.5], arm="challenger")), 502, "not the one that was"),
        (lambda _, live: (200, answered("another request", live, [0.5])), 502, "not the one that was released"),
        (lambda request_id, live: (200, answered(request_id, live, [])), 502, "0 scored rows, expected 1"),
        (lambda request_id, live: (200, answered(request_id, live, [0.5, 0.5])), 502, "2 scored rows, expected 1"),
        (lambda request_id, live: (200, answered(request_id, live, [None])), 502, "could not be read"),
        (lambda request_id, live: (200, answered(request_id, live, ["high"])), 502, "could not be read"),
        (lambda request_id, live: (200, answered(request_id, live, [0.5], provenance=None)), 502, "could not be read"),
        (lambda _, __: (200, b""), 502, "could not be read"),
        (lambda _, __: (200, b"<html>welcome</html>"), 502, "could not be read"),
        (lambda _, __: (200, b"\xff\xfe"), 502, "could not be read"),
        (lambda _, __: (204, b""), 502, "answered with status 204"),
        (lambda _, __: (302, b""), 502, "answered with status 302"),
        (lambda _, __: (404, b'{"detail": "no such model"}'), 502, "answered with status 404"),
        (lambda _, __: (429, b""), 502, "answered with status 429"),
        (lambda _, __: (500, b'{"detail": "an inner word"}'), 502, "answered with status 500"),
        (lambda _, __: (599, b""), 502, "answered with status 599"),
        (lambda _, __: (503, b'{"detail": "nothing is released"}'), 503, "nothing is released"),
        (lambda _, __: (503, b"busy"), 503, "The model answered with an error."),
    ],
)
def test_it_is_a_problem_for_the_client_and_a_failed_row(
    home: Home, approver: Approver, script: Script, status: int, words: str
) -> None:
    live = approver.release(toy())
    with proxy_before(home, lambda _interface, _body, request_id: script(request_id, live)) as client:
        answer = client.post(PREDICT, content=records_body(parcel(), id="order 7"))

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]
    row = the_row(home)
    assert (row.outcome, row.status, row.attempts) == ("failed", status, 1)
    assert row.request_id == answer.json()["request_id"] == answer.headers["trainserve-request-id"]
    assert (row.arm, row.package_digest, row.rule) == ("champion", live, "champion")
    assert (row.scores, row.answer, row.raw) == (None, None, None)
    assert row.client_request_id == "order 7"
    assert row.features is not None


@pytest.mark.parametrize("outputs", [[], [{"name": "score", "datatype": "FP64", "shape": [1, 0], "data": []}]])
def test_an_answer_of_the_protocol_without_scores_is_withheld(
    home: Home, approver: Approver, outputs: list[dict[str, Any]]
) -> None:
    live = approver.release(toy())

    def answer(_interface: str, _body: bytes, request_id: str) -> tuple[int, bytes]:
        document = msgspec.json.decode(answered(request_id, live, []))
        return 200, msgspec.json.encode({**document, "id": "1", "parameters": document["provenance"], "outputs": outputs})

    with proxy_before(home, answer) as client:
        assert client.post(INFER, content=tensors_body(parcel())).status_code == 502
    assert the_row(home).outcome == "failed"


def test_a_package_that_is_not_released_is_waited_for_once_and_withheld(home: Home, approver: Approver) -> None:
    live = approver.release(toy())
    with proxy_before(home, lambda _interface, _body, request_id: (200, answered(request_id, FOREIGN, [0.5]))) as client:
        answers = [client.post(PREDICT, content=records_body(parcel())) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [502] * 3
    assert "not the one that was released; the answer is withheld" in answers[0].json()["detail"]
    waited, *others = predictions(home)
    assert waited.attempts > 1, "the predictor might have been about to swap"
    assert [row.attempts for row in others] == [1, 1], "and did not"
    assert {(row.outcome, row.arm, row.package_digest, row.scores is None) for row in (waited, *others)} == {
        ("failed", "champion", live, True)
    }


def test_the_wait_for_a_swap_ends_with_the_timeout(home: Home, approver: Approver) -> None:
    approver.release(toy())
    answer_of_another = lambda _interface, _body, request_id: (200, answered(request_id, FOREIGN, [0.5]))  # noqa: E731
    with proxy_before(home, answer_of_another, timeout_s=0.3) as client:
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 502

    assert 1 < the_row(home).attempts < 10
    assert the_row(home).latency_us < 1_500_000


def test_a_foreign_package_is_said_in_the_servers_log(home: Home, approver: Approver, capsys: pytest.CaptureFixture[str]) -> None:
    approver.release(toy())
    with proxy_before(home, lambda _interface, _body, request_id: (200, answered(request_id, FOREIGN, [0.5]))) as client:
        client.post(PREDICT, content=records_body(parcel()))

    [line] = [line for line in capsys.readouterr().out.splitlines() if "answer withheld" in line]
    assert FOREIGN[:12] in line


def test_a_predictors_refusal_is_passed_on(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with proxy_before(home, lambda *_: (400, b'{"detail": "an older schema"}')) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert (answer.status_code, answer.json()["detail"]) == (400, "an older schema")
    assert (the_row(home).outcome, the_row(home).status) == ("refused", 400)


def test_a_predictor_that_is_down_is_asked_twice(home: Home, approver: Approver) -> None:
    approver.release(toy())
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert answer.status_code == 503
    assert answer.json()["detail"] == "The model could not be reached in 2 attempts; try again shortly."
    assert (the_row(home).outcome, the_row(home).status, the_row(home).attempts) == ("failed", 503, 2)


def test_one_replica_that_is_down_is_made_up_for_by_another(home: Home, approver: Approver) -> None:
    live = approver.release(toy())
    with listening(scripted(lambda _interface, _body, request_id: (200, answered(request_id, live, [0.5])))) as url:
        arm = Arm(upstreams=(NOBODY, url))
        with proxied(home, parameters({"champion": url}, champion=arm)) as client:
            statuses = [client.post(PREDICT, content=records_body(parcel())).status_code for _ in range(40)]

    assert statuses.count(200) > 20
    assert {row.attempts for row in predictions(home) if row.outcome == "answered"} == {1, 2}


def test_a_predictor_that_hangs_is_given_up_after_the_timeout(home: Home, approver: Approver) -> None:
    live = approver.release(toy())
    given_up = threading.Event()

    def hang(_interface: str, _body: bytes, request_id: str) -> tuple[int, bytes]:
        given_up.wait(30)
        return 200, answered(request_id, live, [0.5])

    with proxy_before(home, hang, timeout_s=0.3) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))
        given_up.set()

    assert (answer.status_code, answer.json()["detail"]) == (504, "The model did not answer within 0.3 s.")
    row = the_row(home)
    assert (row.outcome, row.status, row.attempts) == ("failed", 504, 1)
    assert (row.upstream_latency_us or 0) >= 300_000


def test_an_inactive_arm_is_never_called_even_when_it_is_down(home: Home, approver: Approver) -> None:
    live = approver.release(toy(1))
    approver.release(toy(2), "challenger")
    challenger = Arm(upstreams=(NOBODY,), share=1.0, active=False)
    with (
        listening(scripted(lambda _interface, _body, request_id: (200, answered(request_id, live, [0.5])))) as url,
        proxied(home, parameters({"champion": url, "challenger": NOBODY}, challenger=challenger)) as client,
    ):
        for number in range(20):
            assert client.post(PREDICT, content=records_body(parcel(parcel_id=f"P-{number}"))).status_code == 200

    assert {(row.arm, row.attempts) for row in predictions(home)} == {("champion", 1)}


def test_a_use_case_that_is_switched_off_asks_nobody(home: Home, approver: Approver) -> None:
    approver.release(toy())
    asked = []

    def take(_interface: str, body: bytes, _request_id: str) -> tuple[int, bytes]:
        asked.append(body)
        return 200, b""

    with proxy_before(home, take, active=False) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert (answer.status_code, asked) == (503, [])
    assert answer.json()["detail"] == "Model 'late_parcel' is switched off by its operator."
    row = the_row(home)
    assert (row.outcome, row.rule, row.attempts) == ("inactive", "inactive", 0)


def test_without_a_champion_nobody_is_asked(home: Home, approver: Approver) -> None:
    approver.release(toy(), "challenger")
    with proxied(home, parameters({"champion": NOBODY, "challenger": NOBODY}, challenger_share=1.0)) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert (answer.status_code, answer.json()["detail"]) == (503, "No champion of 'late_parcel' is released and reachable.")
    assert (the_row(home).outcome, the_row(home).arm) == ("failed", None)


def test_before_the_first_dataset_the_reason_is_named(home: Home) -> None:
    with proxied(home, parameters({"champion": NOBODY})) as client:
        answer = client.post(PREDICT, content=records_body(parcel()))

    assert answer.status_code == 503
    assert "Materialize late_parcel/dataset in Dagster first." in answer.json()["detail"]
    assert (the_row(home).outcome, the_row(home).raw) == ("failed", None), "what may be sensitive is not known yet"


def test_a_release_that_the_predictor_heard_of_first_is_answered(home: Home, approver: Approver) -> None:
    approver.release(toy(1))
    second = approver.seal(toy(2))

    def answer(_interface: str, _body: bytes, request_id: str) -> tuple[int, bytes]:
        if not predictions(home):
            approver.decide("approve", second)  # while the proxy waits: it cannot have seen it before it asked
        return 200, answered(request_id, second, [0.5])

    with proxy_before(home, answer) as client:
        given = client.post(PREDICT, content=records_body(parcel()))

    assert scores_of(given.content) == [0.5]
    assert (the_row(home).package_digest, the_row(home).release_seq) == (second, 2)


def test_the_replaced_release_may_answer_while_predictors_swap_and_a_revoked_one_never(home: Home, approver: Approver) -> None:
    first, second = approver.seal(toy(1)), approver.seal(toy(2))
    approver.decide("approve", first)
    answering = first

    def answer(_interface: str, _body: bytes, request_id: str) -> tuple[int, bytes]:
        return 200, answered(request_id, answering, [0.5])

    def live(client: Client) -> Any:
        return client.get("/health/ready").json()["arms"]["late_parcel"]["champion"]["package_digest"]

    with proxy_before(home, answer) as client:
        approver.decide("approve", second)
        eventually(lambda: live(client) == second)
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 200

        answering = second
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        approver.decide("revoke", second)
        eventually(lambda: live(client) == first)
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 502

    assert [(row.release_seq, row.outcome) for row in predictions(home)] == [(1, "answered"), (2, "answered"), (1, "failed")]
