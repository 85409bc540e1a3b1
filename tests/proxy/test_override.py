"""An override under load: in every worker within a second, no later answer without it, no failed request."""

from contextlib import ExitStack
from time import monotonic

import httpx
from msgspec.structs import replace

from lake.home import Home
from lake.parameters.client import ParametersClient
from lake.parameters.document import change_of, content_of
from lake.parameters.rules import All, Answer, Rule
from lake.workers import read_workers
from proxy.app import create_app as proxy_app
from serving.app import create_app
from tests.load import Load
from tests.proxied import parameters, predictions
from tests.scenario import USE_CASE
from tests.served import Approver, eventually, listening, scores_of, toy

FIXED = Rule(name="fixed", when=All(of=()), then=(Answer(scores=(0.5,)),))


def test_an_override_holds_in_every_worker_and_no_request_fails(home: Home, approver: Approver) -> None:
    approver.release(toy(1))
    with ExitStack() as stack:
        url = stack.enter_context(listening(create_app(home, USE_CASE, "champion")))
        documents = {USE_CASE: parameters({"champion": url})}
        proxies = [stack.enter_context(listening(proxy_app(home, documents))) for _ in range(3)]
        loads = [Load(proxy, clients=2) for proxy in proxies]
        eventually(lambda: all(len(load.acknowledged()) > 10 for load in loads))
        client = ParametersClient(proxies[0])
        before = client.get(USE_CASE)
        began = monotonic()
        client.put(USE_CASE, before.version, change_of(replace(content_of(before), rules=(FIXED,)), "incident 9"))
        eventually(lambda: all(worker.use_cases[USE_CASE].version == 1 for worker in read_workers(home)))
        confirmed = monotonic()
        eventually(lambda: all(len(load.since(confirmed)) > 20 for load in loads))
        for load in loads:
            load.stop()

    assert confirmed - began < 3, "a second, and what a busy machine adds"
    answers: list[httpx.Response] = [answer for load in loads for answer in load.since(0)]
    assert {answer.status_code for answer in answers} == {200}
    for load in loads:
        # What was asked before may still be answered without it; a client has one request at a time.
        assert {tuple(scores_of(answer.content)) for answer in load.since(confirmed)[4:]} == {(0.5,)}
    routed = {(row.parameters_version, row.rule) for row in predictions(home)}
    assert routed == {(0, "champion"), (1, "fixed")}
