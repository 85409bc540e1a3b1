"""More requests than may be under way: those beyond are turned away at once, and the others answered as ever."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from lake.home import Home
from lake.interface.settings import ServerSettings
from lake.interface.worker import Worker
from proxy.app import create_app as create_proxy
from serving.app import create_app as create_predictor
from tests.alert_rules import alert_rules
from tests.proxied import NOBODY, parameters, predictions
from tests.proxy.test_operation import metrics
from tests.raw_upstream import Chaos, raw_server
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, eventually, listening, toy, varied

PLACES = 2
TIMEOUT_S = 3.0


def limited() -> Worker:
    return Worker(ServerSettings(maximum_in_flight=PLACES))


def test_the_alert_goes_by_a_metric_that_there_is(home: Home) -> None:
    [rule] = alert_rules("load")
    app = create_proxy(home, {USE_CASE: parameters({"champion": NOBODY})})
    with listening(app) as url, httpx.Client(base_url=url, trust_env=False) as client:
        known = {name for name, *_ in metrics(client)}

    assert rule.metrics <= known
    assert rule.annotations["description"]


def ask(client: httpx.Client, *rows: dict[str, object]) -> httpx.Response:
    return client.post(PREDICT, content=records_body(*(rows or (parcel(),))))


def test_a_request_beyond_those_that_may_be_under_way_is_told_when_to_come_back(home: Home, approver: Approver) -> None:
    predictor = Chaos(approver.release(toy()), "hang")
    with raw_server(predictor) as upstream, ThreadPoolExecutor(PLACES) as pool:
        document = parameters({"champion": upstream}, timeout_s=TIMEOUT_S)
        app = create_proxy(home, {USE_CASE: document}, worker=limited())
        with listening(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            waiting = [pool.submit(ask, client) for _ in range(PLACES)]
            eventually(lambda: metrics(client)["trainserve_requests_under_way",] == PLACES, within_s=TIMEOUT_S)
            refused = ask(client)
            late = [one.result().status_code for one in waiting]
            predictor.mode = "good"
            answered = ask(client)
            counted = metrics(client)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "2 requests are under way here, as many as may be at once. Send it again in a moment."
    assert (late, answered.status_code) == ([504] * PLACES, 200)
    assert counted["trainserve_requests_turned_away_total",] == 1
    assert counted["trainserve_requests_under_way",] == 0
    assert sorted(row.status for row in predictions(home)) == [200, *late], "who was turned away is counted, and is no row"


def test_a_predictor_that_stands_alone_turns_away_too_and_logs_what_it_answers(home: Home, approver: Approver) -> None:
    approver.release(toy())
    app = create_predictor(home, USE_CASE, "champion", log="disk", worker=limited())
    rows = varied(500)
    with listening(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client, ThreadPoolExecutor(16) as pool:
        statuses: list[int] = []

        def has_turned_away() -> bool:
            statuses.extend(answer.status_code for answer in pool.map(lambda _: ask(client, *rows), range(64)))
            return 503 in statuses

        eventually(has_turned_away)
        counted = metrics(client)

    assert set(statuses) == {200, 503}
    assert counted["trainserve_requests_turned_away_total",] == statuses.count(503)
    assert len({row.request_id for row in predictions(home)}) == statuses.count(200)
