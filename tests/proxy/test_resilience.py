"""Predictors that hang, break off, answer nonsense or are gone: what clients get, how soon, and what is left alone."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lake.errors import InvalidInput
from lake.home import Home
from lake.parameters import Arm, check_parameters
from proxy.app import create_app
from tests.proxied import NOBODY, parameters, predictions, proxied
from tests.proxy.test_operation import metrics
from tests.raw_upstream import CHAOS, Chaos, Mode, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, toy

TIMEOUT_S = 0.4
PATIENT_S = 10.0  # where nothing is to run into it
MARGIN_S = 1.5  # this machine has others to serve
BREAKER_FAILURES = 5


def ask(client: Client | httpx.Client, entity: str = "P-1") -> httpx.Response:
    return client.post(PREDICT, content=records_body(parcel(parcel_id=entity)))


def circuits(client: Client) -> list[str]:
    """The states of all circuits."""
    return [key[3] for key in metrics(client) if key[0] == "trainserve_proxy_circuit"]


@contextmanager
def before(home: Home, *replicas: Chaos, timeout_s: float = TIMEOUT_S, **changes: Any) -> Iterator[Client]:
    """A proxy before replicas of the champion."""
    with ExitStack() as stack:
        urls = tuple(stack.enter_context(raw_server(one)) for one in replicas)
        document = parameters({"champion": NOBODY}, champion=Arm(upstreams=urls), timeout_s=timeout_s, **changes)
        yield stack.enter_context(proxied(home, document))


@pytest.mark.parametrize("mode", CHAOS)
def test_a_predictor_that_fails_is_left_alone_within_five_failures_and_asked_again_later(
    home: Home, approver: Approver, mode: Mode
) -> None:
    replica = Chaos(approver.release(toy()), mode)
    with before(home, replica) as client:
        while circuits(client) != ["open"]:
            began = time.perf_counter()
            answer = ask(client)
            assert answer.status_code in (502, 503, 504)
            assert time.perf_counter() - began < TIMEOUT_S + MARGIN_S
            assert replica.asked[mode] <= BREAKER_FAILURES
        assert replica.asked[mode] == BREAKER_FAILURES
        refused = ask(client)
        if replica.asked[mode] == BREAKER_FAILURES:  # else it was due for a probe already
            assert (refused.status_code, "is left alone for a while" in refused.json()["detail"]) == (503, True)

        replica.mode = "good"
        eventually(lambda: ask(client).status_code == 200)
        assert circuits(client) == ["closed"]

    rows = predictions(home)
    assert {(row.outcome, row.status == 200) for row in rows} == {("failed", False), ("answered", True)}
    assert sum(row.attempts for row in rows) == sum(replica.asked.values())


def test_a_circuit_is_probed_by_one_request_at_a_time(home: Home, approver: Approver) -> None:
    replica = Chaos(approver.release(toy()), "500")
    with ExitStack() as stack:
        url = stack.enter_context(raw_server(replica))
        app = create_app(home, {USE_CASE: parameters({"champion": url}, timeout_s=TIMEOUT_S)})
        proxy = stack.enter_context(listening(app))
        client = stack.enter_context(httpx.Client(base_url=proxy, trust_env=False, timeout=30))
        for _ in range(BREAKER_FAILURES):
            assert ask(client).status_code == 502
        replica.mode, replica.most_at_once = "hang", 0
        pool = stack.enter_context(ThreadPoolExecutor(8))
        deadline = time.monotonic() + 20
        while replica.asked["hang"] < 2:
            assert time.monotonic() < deadline
            answers = list(pool.map(lambda _: ask(client), range(8)))
            assert {answer.status_code for answer in answers} <= {503, 504}

    assert replica.most_at_once == 1
    assert [row.status for row in predictions(home)].count(504) == replica.asked["hang"]


@pytest.mark.parametrize("mode", [mode for mode in CHAOS if mode not in ("hang", "slow")])
def test_what_one_replica_breaks_another_answers(home: Home, approver: Approver, mode: Mode) -> None:
    live = approver.release(toy())
    broken, good = Chaos(live, mode), Chaos(live)
    with before(home, broken, good, timeout_s=PATIENT_S) as client:
        statuses = [ask(client).status_code for _ in range(40)]
        counted = metrics(client)

    assert statuses == [200] * 40
    assert 0 < broken.asked[mode] < 40 / 2
    assert {row.attempts for row in predictions(home)} == {1, 2}
    assert counted["trainserve_proxy_retries_total", "champion", USE_CASE] == broken.asked[mode]


def challenged(approver: Approver, mode: Mode) -> tuple[Chaos, Chaos]:
    """A champion in order, and a challenger in this mode, each of its own package."""
    champion, challenger = approver.release(toy(1)), approver.release(toy(2), "challenger")
    return Chaos(champion), Chaos(challenger, mode, "challenger")


@contextmanager
def before_both(home: Home, champion: Chaos, challenger: Chaos, **changes: Any) -> Iterator[Client]:
    """A proxy before both arms; the challenger has all requests."""
    with raw_server(champion) as first, raw_server(challenger) as second:
        urls = {"champion": first, "challenger": second}
        with proxied(home, parameters(urls, challenger_share=1.0, timeout_s=TIMEOUT_S, **changes)) as client:
            yield client


@pytest.mark.parametrize("mode", [mode for mode in CHAOS if mode not in ("hang", "slow")])
def test_the_champion_answers_for_a_challenger_that_fails(home: Home, approver: Approver, mode: Mode) -> None:
    champion, challenger = challenged(approver, mode)
    with before_both(home, champion, challenger) as client:
        answers = [ask(client) for _ in range(10)]
        counted = metrics(client)

    assert {(answer.status_code, answer.json()["provenance"]["arm"]) for answer in answers} == {(200, "champion")}
    rows = predictions(home)
    assert {(row.outcome, row.arm, row.role, row.rule) for row in rows} == {("answered", "champion", "champion", "fallback")}
    assert len({row.package_digest for row in rows}) == 1
    assert {(row.release_seq, row.assigned_release_seq) for row in rows} == {(1, 2)}, "they were the challenger's to answer"
    assert challenger.asked[mode] == BREAKER_FAILURES, "then it was left alone"
    assert counted["trainserve_proxy_fallbacks_total", "challenger", USE_CASE] == 10


def test_a_challenger_that_hangs_costs_its_first_requests_and_then_the_champion_answers(home: Home, approver: Approver) -> None:
    champion, challenger = challenged(approver, "hang")
    with before_both(home, champion, challenger) as client:
        statuses = [ask(client).status_code for _ in range(BREAKER_FAILURES + 1)]

    assert statuses == [504] * BREAKER_FAILURES + [200]
    assert [(row.arm, row.rule) for row in predictions(home)][-1] == ("champion", "fallback")


def test_a_fallback_too_answers_with_nothing_that_is_not_live(home: Home, approver: Approver) -> None:
    _, challenger = challenged(approver, "500")
    with before_both(home, Chaos("f" * 64), challenger) as client:
        answer = ask(client)

    assert (answer.status_code, "is withheld" in answer.json()["detail"]) == (502, True)
    [row] = predictions(home)
    assert (row.outcome, row.arm, row.rule, row.scores) == ("failed", "champion", "fallback", None)


def test_a_request_that_the_predictor_refuses_has_no_fallback(home: Home, approver: Approver) -> None:
    champion, challenger = challenged(approver, "400")
    with before_both(home, champion, challenger) as client:
        assert [ask(client).status_code for _ in range(10)] == [400] * 10
        assert circuits(client) == ["closed"]

    assert {(row.arm, row.outcome) for row in predictions(home)} == {("challenger", "refused")}


def test_a_predictor_is_asked_over_a_socket_in_the_file_system(home: Home, approver: Approver, tmp_path: Path) -> None:
    live = approver.release(toy())
    with raw_server(Chaos(live), str(tmp_path / "predictor.sock")) as url:
        document = parameters({"champion": url})
        check_parameters(document)
        with proxied(home, document) as client:
            assert (url.partition(":")[0], ask(client).status_code) == ("unix", 200)

    for wrong in ("unix://", "unix:///", "unix://host/path"):
        with pytest.raises(InvalidInput, match="unix:///path"):
            check_parameters(parameters({"champion": wrong}))
