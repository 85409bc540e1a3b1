"""Rules through the proxy: what the client is told, and what its row keeps of the model and of the rule."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from lake.home import Home
from lake.parameters.document import Fixed, Parameters
from lake.parameters.rules import (
    All,
    Answer,
    Clip,
    Compare,
    Condition,
    Effect,
    Refuse,
    Rule,
    Shift,
    Threshold,
    UseArm,
)
from serving.app import create_app
from tests.proxied import parameters, predictions, proxied
from tests.proxy.operators import in_force, put
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import INFER, PREDICT, Approver, Client, listening, scores_of, toy

SOUTH = Compare(field="depot", by="=", value="south")
ALWAYS = All(of=())


class Proxy(msgspec.Struct, frozen=True):
    """A proxy before a champion and a challenger, and how its operator gives it rules."""

    client: Client
    home: Home

    def go_by(self, *rules: Rule, **changes: Any) -> None:
        """Make these the rules."""
        found: Parameters = in_force(self.client)
        answer = put(self.client, replace(found, rules=rules, **changes), f'"{found.version}"')
        assert answer.status_code == 200, answer.text


@pytest.fixture
def proxy(home: Home, approver: Approver) -> Iterator[Proxy]:
    approver.release(toy(1))
    approver.release(toy(2), "challenger")
    with ExitStack() as stack:
        urls = {arm: stack.enter_context(listening(create_app(home, USE_CASE, arm))) for arm in ("champion", "challenger")}
        yield Proxy(stack.enter_context(proxied(home, parameters(urls))), home)


def rule(name: str, when: Condition, *then: Effect) -> Rule:
    return Rule(name=name, when=when, then=then)


def test_a_shifted_and_clipped_score_is_answered_and_the_models_is_kept(proxy: Proxy) -> None:
    proxy.go_by(rule("south", SOUTH, Shift(by=0.5), Clip(high=0.7)))
    rows = [parcel(depot="south"), parcel()]
    predicted = proxy.client.post(PREDICT, content=records_body(*rows))
    inferred = proxy.client.post(INFER, content=tensors_body(*rows, id="mine"))

    model = [toy(1).score(row) for row in rows]
    answers = [min(0.7, model[0] + 0.5), model[1]]
    assert scores_of(predicted.content) == scores_of(inferred.content, "infer") == answers
    assert predicted.json()["predictions"] == [{"score": answers[0], "rule": "south"}, {"score": answers[1]}]
    assert predicted.json()["provenance"]["rules"] == inferred.json()["parameters"]["rules"] == ["south"]
    assert inferred.json()["id"] == "mine"
    logged = [(row.scores, row.answer, row.rule, row.arm) for row in predictions(proxy.home)]
    expected = [([model[0]], [answers[0]], "south", "champion"), ([model[1]], [model[1]], "champion", "champion")]
    assert logged == expected * 2


def test_where_no_rule_fires_the_answer_is_the_predictors_byte_for_byte(proxy: Proxy) -> None:
    body = records_body(parcel())
    before = proxy.client.post(PREDICT, content=body).json()
    proxy.go_by(rule("south", SOUTH, Shift(by=0.5)))
    after = proxy.client.post(PREDICT, content=body).json()

    assert {**after["provenance"], "request_id": ""} == {**before["provenance"], "request_id": ""}
    assert after["predictions"] == before["predictions"]


def test_a_threshold_decides_and_a_rule_sets_another(proxy: Proxy) -> None:
    rows = [parcel(), parcel(depot="south")]
    scores = [toy(1).score(row) for row in rows]
    proxy.go_by(rule("south", SOUTH, Threshold(at=1.0)), threshold=0.0)
    predicted = proxy.client.post(PREDICT, content=records_body(*rows)).json()
    inferred = proxy.client.post(INFER, content=tensors_body(*rows)).json()

    assert predicted["predictions"] == [
        {"score": scores[0], "decision": True},
        {"score": scores[1], "decision": False, "rule": "south"},
    ]
    assert inferred["outputs"] == [
        {"name": "score", "datatype": "FP64", "shape": [2], "data": scores},
        {"name": "unknown_categories", "datatype": "BYTES", "shape": [2], "data": ["", ""]},
        {"name": "decision", "datatype": "BOOL", "shape": [2], "data": [True, False]},
    ]


def test_an_answer_in_the_models_place_asks_no_model_and_says_so(proxy: Proxy) -> None:
    proxy.go_by(rule("south", SOUTH, Answer(scores=(0.25,))))
    alone = proxy.client.post(PREDICT, content=records_body(parcel(depot="south"), id="mine")).json()
    mixed = proxy.client.post(PREDICT, content=records_body(parcel(depot="south"), parcel())).json()

    assert (alone["predictions"], alone["id"]) == ([{"score": 0.25, "rule": "south"}], "mine")
    assert (alone["provenance"]["fixed"], alone["provenance"]["arm"], alone["model_version"]) == (True, "none", "none")
    assert [row["score"] for row in mixed["predictions"]] == [0.25, toy(1).score(parcel())]
    assert "fixed" not in mixed["provenance"]
    rows = [(row.outcome, row.arm, row.rule, row.scores is None, row.answer, row.attempts) for row in predictions(proxy.home)]
    assert rows[0] == ("answered", None, "south", True, [0.25], 0)
    assert rows[1][:4] == ("answered", "champion", "south", False)


def test_an_override_goes_to_its_arm_and_a_refusal_in_the_operators_words(proxy: Proxy) -> None:
    proxy.go_by(
        rule("no_bikes", Compare(field="carrier", by="=", value="bike"), Refuse(why="bikes are on strike")),
        rule("south", SOUTH, UseArm(arm="challenger")),
    )
    sent = proxy.client.post(PREDICT, content=records_body(parcel(depot="south"))).json()
    refused = proxy.client.post(PREDICT, content=records_body(parcel(), parcel(carrier="bike")))

    assert (sent["provenance"]["arm"], sent["predictions"][0]["score"]) == ("challenger", toy(2).score(parcel(depot="south")))
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["detail"] == "Row 1 is refused by the operator's rule 'no_bikes': bikes are on strike"
    rows = predictions(proxy.home)
    assert [(row.outcome, row.status, row.rule, row.arm) for row in rows] == [
        ("answered", 200, "south", "challenger"),
        ("refused", 422, None, None),
        ("refused", 422, "no_bikes", None),
    ]
    assert rows[2].features is not None


def test_an_inactive_use_case_answers_as_it_was_told(proxy: Proxy) -> None:
    proxy.go_by(active=False)
    problem = proxy.client.post(PREDICT, content=records_body(parcel()))
    proxy.go_by(active=False, inactive_answer=Fixed(scores=(0.5,)))
    fixed = proxy.client.post(INFER, content=tensors_body(parcel(), parcel()))

    assert problem.status_code == 503
    assert (fixed.status_code, scores_of(fixed.content, "infer")) == (200, [0.5, 0.5])
    assert (fixed.json()["parameters"]["fixed"], fixed.json()["parameters"]["rules"]) == (True, ["inactive"])
    rows = [(row.outcome, row.status, row.rule, row.answer, row.attempts) for row in predictions(proxy.home)]
    assert rows == [("inactive", 503, "inactive", None, 0), *[("inactive", 200, "inactive", [0.5], 0)] * 2]


def test_by_request_one_client_meets_both_arms(proxy: Proxy) -> None:
    found = in_force(proxy.client)
    halved = {**found.arms, "challenger": replace(found.arms["challenger"], share=0.5)}

    def met() -> set[str]:
        sent = [proxy.client.post(PREDICT, content=records_body(parcel())) for _ in range(30)]
        return {answer.json()["provenance"]["arm"] for answer in sent}

    proxy.go_by(arms=halved)
    assert len(met()) == 1
    proxy.go_by(arms=halved, sticky="request")
    assert met() == {"champion", "challenger"}


def test_a_rule_holds_from_the_change_on_for_every_request(proxy: Proxy) -> None:
    for number in range(1, 6):
        limit = number / 10
        proxy.go_by(rule("cap", ALWAYS, Clip(low=limit, high=limit)))
        answers = [scores_of(proxy.client.post(PREDICT, content=records_body(parcel())).content) for _ in range(5)]
        assert answers == [[limit]] * 5
    assert {(row.parameters_version, *row.answer) for row in predictions(proxy.home) if row.answer} == {
        (number, number / 10) for number in range(1, 6)
    }
