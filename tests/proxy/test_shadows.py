"""A shadow is asked what was answered, and what it says is logged; it changes no answer, and nobody waits for it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from lake.home import Home
from lake.log.evidence import gather
from lake.log.records import PredictionRecord
from lake.log.shipper import Shipper
from lake.parameters import Arm
from proxy.shadows import MOST_WAITING
from serving.app import create_app
from tests.proxied import NOBODY, parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.raw_upstream import CHAOS, Chaos, Mode, raw_server
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, eventually, listening, scores_of, toy, varied

MOST_AT_ONCE = 8
TIMEOUT_S = 2.0


def shadow_rows(home: Home) -> list[PredictionRecord]:
    return [row for row in predictions(home) if row.purpose == "shadow"]


def counted(client: Client) -> dict[str, float]:
    """What became of the requests that were mirrored."""
    return {key[2]: value for key, value in metrics(client).items() if key[0] == "trainserve_proxy_shadow_requests_total"}


@contextmanager
def mirrored(home: Home, champion: Chaos, shadow: Chaos | str, /, **changes: Any) -> Iterator[Client]:
    """A proxy whose champion answers, with a shadow beside it."""
    with ExitStack() as stack:
        urls = {
            "champion": stack.enter_context(raw_server(champion)),
            "shadow": shadow if isinstance(shadow, str) else stack.enter_context(raw_server(shadow)),
        }
        yield stack.enter_context(proxied(home, parameters(urls, **{"timeout_s": TIMEOUT_S, **changes})))


@pytest.fixture
def champion(approver: Approver) -> Chaos:
    return Chaos(approver.release(toy(1)))


@pytest.fixture
def shadow(approver: Approver) -> Chaos:
    return Chaos(approver.release(toy(2), "shadow"), arm="shadow")


def test_each_answer_has_a_row_of_the_shadow_beside_it(home: Home, approver: Approver) -> None:
    models = {"champion": toy(1), "shadow": toy(2)}
    digests = {arm: approver.release(model, arm) for arm, model in models.items()}
    rows = varied(20)
    with ExitStack() as stack:
        urls = {arm: stack.enter_context(listening(create_app(home, USE_CASE, arm))) for arm in models}
        client = stack.enter_context(proxied(home, parameters(urls)))
        answers = [client.post(PREDICT, content=records_body(row, id=f"order {row['parcel_id']}")) for row in rows]
        answers.append(client.post(INFER, content=tensors_body(*rows)))
        eventually(lambda: counted(client) == {"logged": 21.0})

    assert [scores_of(answer.content) for answer in answers[:20]] == [[models["champion"].score(row)] for row in rows]
    logged = predictions(home)
    answered = {(row.request_id, row.row): row for row in logged if row.purpose == "answer"}
    shadows = {(row.request_id, row.row): row for row in logged if row.purpose == "shadow"}
    assert answered.keys() == shadows.keys()
    assert len(logged) == 2 * 40
    for key, row in shadows.items():
        beside = answered[key]
        assert (row.arm, row.role, row.package_digest, row.release_seq) == ("shadow", "shadow", digests["shadow"], 2)
        assert (row.rule, row.outcome, row.status, row.attempts, row.engine) == ("shadow", "answered", 200, 1, "lignum")
        assert row.answer is None
        assert (row.features, row.client_request_id) == (beside.features, beside.client_request_id)
        assert (row.entity_key_hash, row.event_time_us) == (beside.entity_key_hash, beside.event_time_us)
        assert 0 < (row.upstream_latency_us or 0) <= row.latency_us
    assert [shadows[answers[-1].headers["trainserve-request-id"], place].scores for place in range(20)] == [
        [models["shadow"].score(row)] for row in rows
    ]


@pytest.mark.parametrize("mode", CHAOS)
def test_a_shadow_that_fails_changes_no_answer_and_leaves_no_row(home: Home, champion: Chaos, shadow: Chaos, mode: Mode) -> None:
    shadow.mode = mode
    with mirrored(home, champion, shadow) as client:
        began = time.perf_counter()
        for _ in range(60):
            answer = client.post(PREDICT, content=records_body(parcel()))
            assert (answer.status_code, answer.json()["provenance"]["arm"]) == (200, "champion")
        assert time.perf_counter() - began < 60 * TIMEOUT_S / MOST_AT_ONCE, "nobody waited for it"
        eventually(lambda: counted(client).get("failed", 0) > 0)

    assert shadow.most_at_once <= MOST_AT_ONCE or mode == "slow", "one that is slow does not see at once that it was given up"
    assert champion.asked == {"good": 60}
    assert {(row.purpose, row.outcome) for row in predictions(home)} == {("answer", "answered")}


def test_what_a_hanging_shadow_has_no_room_for_is_dropped(home: Home, champion: Chaos, shadow: Chaos) -> None:
    shadow.mode = "hang"
    sent = MOST_AT_ONCE + MOST_WAITING + 50
    with mirrored(home, champion, shadow, timeout_s=60.0) as client:
        for _ in range(sent):
            assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        assert counted(client) == {"dropped": 50.0}
        assert metrics(client)["trainserve_proxy_in_flight", "shadow", shadow_address(client), USE_CASE] == MOST_AT_ONCE

    assert shadow.asked["hang"] == MOST_AT_ONCE
    assert len(predictions(home)) == sent


def shadow_address(client: Client) -> str:
    return next(key[2] for key in metrics(client) if key[0] == "trainserve_proxy_in_flight" and key[1] == "shadow")


def test_a_shadow_that_is_gone_is_left_alone(home: Home, approver: Approver, champion: Chaos) -> None:
    approver.release(toy(2), "shadow")
    with mirrored(home, champion, NOBODY) as client:
        for _ in range(40):
            assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        eventually(lambda: sum(counted(client).values()) == 40)
        assert counted(client)["dropped"] > counted(client)["failed"] >= 5


@pytest.mark.parametrize("digest", ["f" * 64, "of the champion"])
def test_a_shadow_that_answers_with_another_package_leaves_no_row(home: Home, approver: Approver, digest: str) -> None:
    live = approver.release(toy(1))
    approver.release(toy(2), "shadow")
    with mirrored(home, Chaos(live), Chaos(live if digest == "of the champion" else digest, arm="shadow")) as client:
        for _ in range(10):
            assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        eventually(lambda: counted(client) == {"failed": 10.0})

    assert shadow_rows(home) == []


@pytest.mark.parametrize(
    "changes",
    [{"shadow": Arm(upstreams=("http://127.0.0.1:9",), active=False)}, {"shadow": Arm()}],
    ids=["switched off", "no address"],
)
def test_a_shadow_that_may_not_be_asked_is_not(home: Home, champion: Chaos, shadow: Chaos, changes: dict[str, Arm]) -> None:
    with mirrored(home, champion, shadow, **changes) as client:
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 200
        assert counted(client) == {}

    assert (shadow.asked, shadow_rows(home)) == ({}, [])


def test_what_was_not_answered_is_not_mirrored(home: Home, champion: Chaos, shadow: Chaos) -> None:
    with mirrored(home, champion, shadow) as client:
        assert client.post(PREDICT, content=records_body(parcel(stops=-1))).status_code == 400
        champion.mode = "500"
        assert client.post(PREDICT, content=records_body(parcel())).status_code == 502
        assert counted(client) == {}

    assert shadow.asked == {}


def test_a_revoked_shadow_is_not_asked_any_more(home: Home, approver: Approver, champion: Chaos) -> None:
    digest = approver.release(toy(2), "shadow")
    shadow = Chaos(digest, arm="shadow")
    with mirrored(home, champion, shadow) as client:
        client.post(PREDICT, content=records_body(parcel()))
        eventually(lambda: counted(client) == {"logged": 1.0})
        approver.decide("revoke", digest, "shadow")
        eventually(lambda: "shadow" not in client.get("/health/ready").json()["arms"][USE_CASE])
        client.post(PREDICT, content=records_body(parcel()))
        assert counted(client) == {"logged": 1.0}

    assert shadow.asked == {"good": 1}


def test_the_evidence_of_an_answer_is_that_of_the_arm_that_answered(home: Home, champion: Chaos, shadow: Chaos) -> None:
    with mirrored(home, champion, shadow) as client:
        request_id = client.post(PREDICT, content=records_body(parcel())).headers["trainserve-request-id"]
        eventually(lambda: counted(client) == {"logged": 1.0})
    Shipper(home).ship()

    [record] = gather(home, request_id).records()
    assert (record.arm, record.purpose) == ("champion", "answer")
