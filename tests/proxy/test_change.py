"""Parameters are changed through a proxy by compare-and-set, in force in every worker, and nothing wrong or uncovered ever is."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from lake.credentials import add_credential
from lake.documents import DocumentStore, canonical
from lake.home import Home
from lake.parameters import publish_parameters
from lake.parameters.document import Arm, Parameters, Ramp, Step
from lake.parameters.rules import Compare, Rule, Shift, UseArm
from lake.parameters.signed import line_of, sign_proposal
from lake.parameters.stored import versions
from lake.times import now_utc, rfc3339, utc
from serving.app import create_app
from tests.approvers import ADA, policy, put_policy
from tests.lake.test_parameter_signatures import proposal
from tests.proxied import NOBODY, parameters, predictions, proxied
from tests.proxy.operators import PARAMETERS, in_force, put
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening, scores_of, toy

HEAVY = Rule(name="heavy", when=Compare(field="weight_kg", by=">=", value=0), then=(Shift(by=1.0),))

WRONG = msgspec.json.encode(
    {
        "why": "x",
        "arms": {"a/b": {"share": 2}},
        "timeout_s": 0,
        "threshold": 7,
        "fallback_arm": "z",
        "rules": [{"name": "share", "when": {"is": "missing", "field": "depot"}}],
    }
)


@pytest.fixture
def url(home: Home, approver: Approver) -> Iterator[str]:
    """The predictor of a released champion."""
    approver.release(toy(1))
    with listening(create_app(home, USE_CASE, "champion")) as url:
        yield url


@pytest.fixture
def client(home: Home, url: str) -> Iterator[Client]:
    """A proxy before it."""
    with proxied(home, parameters({"champion": url})) as client:
        yield client


def score(client: Client) -> float:
    return scores_of(client.post(PREDICT, content=records_body(parcel())).content)[0]


def test_a_change_holds_in_every_worker_within_a_second_and_after_a_restart(home: Home, url: str) -> None:
    document = parameters({"champion": url})
    with ExitStack() as stack:
        workers = [stack.enter_context(proxied(home, document)) for _ in range(3)]
        began = monotonic()
        answer = put(workers[0], replace(document, timeout_s=1.5))
        assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
        assert in_force(workers[0]).version == 1, "at once in the worker that was asked"
        eventually(lambda: all(in_force(worker).version == 1 for worker in workers))
        took_s = monotonic() - began
    with proxied(home, document) as client:
        found = in_force(client)

    assert took_s < 3, "a second, and what a busy machine adds"
    assert (found.version, found.timeout_s, found.why, found.changed_by) == (
        1,
        1.5,
        "incident 7",
        "anybody, as there is no credentials.yaml",
    )
    assert abs((now_utc() - utc(found.changed_at_utc or "")).total_seconds()) < 60


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        (None, 428),
        ('"0"', 200),
        ("0", 200),
        ('W/"0"', 200),
        ('"1"', 412),
        ("*", 412),
        ('"x"', 412),
        ('"' + "9" * 5000 + '"', 412),
    ],
)
def test_a_change_says_which_version_it_changes(client: Client, if_match: str | None, status: int) -> None:
    assert put(client, in_force(client), if_match).status_code == status
    assert in_force(client).version == (1 if status == 200 else 0)


def test_of_two_operators_one_is_told(client: Client, store: DocumentStore) -> None:
    document = in_force(client)
    publish_parameters(store, replace(document, changed_by="quick"), 0)
    answer = put(client, replace(document, timeout_s=9.0))

    assert (answer.status_code, answer.headers["content-type"]) == (412, "application/problem+json")
    assert answer.json()["detail"] == (
        "The parameters of 'late_parcel' are at version 1, not version 0. Read them again and decide again."
    )
    assert in_force(client).changed_by == "quick"


def test_who_changed_it_is_whose_key_it_was(home: Home, url: str) -> None:
    keys = {role: add_credential(home.credentials, f"the {role}", (role,)) for role in ("client", "operator", "monitor")}
    arms = {"champion": url, "challenger": NOBODY}
    with proxied(home, parameters(arms, challenger_share=0.5)) as client:
        document = in_force(client, authorization=f"Bearer {keys['operator']}")
        halved = replace(document, arms={**document.arms, "challenger": replace(document.arms["challenger"], share=0.25)})

        assert put(client, halved).status_code == 401
        assert put(client, halved, key=keys["client"]).status_code == 403
        refused = put(client, replace(halved, timeout_s=9.0), key=keys["monitor"])
        assert refused.status_code == 403
        assert refused.json()["detail"] == (
            "A monitor's key lowers shares and switches off, and this does more: timeout_s: 2.0 -> 9.0."
        )
        assert put(client, halved, key=keys["monitor"]).json()["changed_by"] == "the monitor"
        assert put(client, document, '"1"', key=keys["monitor"]).status_code == 403
        assert put(client, document, '"1"', key=keys["operator"]).json()["changed_by"] == "the operator"


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (b"", ["body"]),
        (b"[]", ["body"]),
        (b"{", ["body"]),
        (b"[" * 100_000, ["body"]),
        (b"{}", ["why"]),
        (b'{"why": " "}', ["why"]),
        (b'{"why": "x", "version": 3, "changed_by": "me", "use_case": "y"}', ["version", "changed_by", "use_case"]),
        (
            b'{"arms": {"a": {"share": "much", "upstream": []}}, "timeout_s": null, "rules": [{"name": "A", "when": 1}]}',
            ["arms.a.share", "arms.a.upstream", "timeout_s", "rules[0].name", "rules[0].when", "why"],
        ),
        (
            WRONG,
            ["arms", "arms.a/b.share", "arms", "timeout_s", "fallback_arm", "threshold", "rules[0].name", "rules[0].when.depot"],
        ),
    ],
)
def test_a_wrong_change_is_refused_with_every_problem_and_the_old_parameters_stay(
    client: Client, body: bytes, paths: list[str]
) -> None:
    answer = client.put(PARAMETERS, content=body, headers={"if-match": '"0"'})

    assert (answer.status_code, [problem["path"] for problem in answer.json()["problems"]]) == (400, paths)
    assert in_force(client).version == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"retries": {"share": 1.5}}, "retries.share"),
        ({"retries": {"per_second": -1}}, "retries.per_second"),
        ({"breaker": {"failures": 0}}, "breaker.failures"),
        ({"breaker": {"open_s": 0}}, "breaker.open_s"),
        ({"rate_limit": {"per_second": 0, "burst": 1}}, "rate_limit.per_second"),
        ({"rate_limit": {"per_second": 1, "burst": 0}}, "rate_limit.burst"),
        ({"timeout_s": 601}, "timeout_s"),
        ({"arms": {"a": {"share": -0.1}}}, "arms.a.share"),
        ({"arms": {"a": {"upstreams": ["ftp://host"]}}}, "arms.a.upstreams"),
        ({"arms": {"a": {"shadow": {"sample": 2}}}}, "arms.a.shadow.sample"),
        ({"arms": {"a": {"shadow": {"most_at_once": 0}}}}, "arms.a.shadow.most_at_once"),
        ({"arms": {"a": {"beyond_release": 0}}}, "arms.a.beyond_release"),
        ({"arms": {"a": {"ramp": {"steps": []}}}}, "arms.a.ramp.steps"),
        ({"arms": {"a": {"ramp": {"steps": [{"at_utc": "2026-07-01T00:00:00", "share": 0.1}]}}}}, "arms.a.ramp.steps[0].at_utc"),
        ({"arms": {"a": {"ramp": {"steps": [{"at_utc": "2026-07-01T00:00:00Z", "share": 1.1}]}}}}, "arms.a.ramp.steps[0].share"),
        (
            {"arms": {"a": {"share": 0.2, "ramp": {"steps": [{"at_utc": "2026-07-01T00:00:00Z", "share": 0.1}]}}}},
            "arms.a.ramp.steps",
        ),
        ({"arms": {"a": {"share": 0.6}, "b": {"ramp": {"steps": [{"at_utc": "2026-07-01T00:00:00Z", "share": 0.5}]}}}}, "arms"),
        ({"sticky": "sometimes"}, "sticky"),
        ({"active": 1}, "active"),
        ({"inactive_answer": {"scores": [2]}}, "inactive_answer.scores"),
    ],
)
def test_each_parameters_bad_values_are_refused(client: Client, changes: dict[str, Any], path: str) -> None:
    body = msgspec.json.encode({"why": "x", **changes})
    answer = client.put(PARAMETERS, content=body, headers={"if-match": '"0"'})

    assert answer.status_code == 400
    assert path in [problem["path"] for problem in answer.json()["problems"]]


def test_while_the_lake_is_away_nothing_is_stored_and_the_old_parameters_stay(client: Client, home: Home) -> None:
    Path(home.lake).rename(home.root / "away")
    answer = put(client, replace(in_force(client), timeout_s=9.0))

    assert answer.status_code == 503
    assert "trainserve stop late_parcel" in answer.json()["detail"]
    assert in_force(client).version == 0


def signed_line(home: Home, document: Parameters, after_version: int, why: str) -> str:
    """What ada hands on."""
    return line_of(sign_proposal(proposal(home, replace(document, why=why), after_version), ADA.key))


def test_a_shifted_score_takes_a_signature_at_the_door_and_at_every_reader(
    home: Home, url: str, store: DocumentStore, approver: Approver
) -> None:
    document = parameters({"champion": url})
    with proxied(home, document) as client:
        model = score(client)
        put_policy(home, policy(ADA, roles={"champion": 1}, valid_from_utc=now_utc()))
        shifted = replace(document, rules=(HEAVY,))

        refused = put(client, shifted)
        assert refused.status_code == 403
        assert "rule 'heavy' is new: shift the score by +1: 0 of 1 signatures" in refused.json()["detail"]
        forged = replace(shifted, version=1, changed_by="olga", changed_at_utc=rfc3339(now_utc()))
        store.put(f"{USE_CASE}/parameters/00000001.json", canonical(forged))
        eventually(lambda: client.get("/health/ready").json()["parameters"][USE_CASE]["refused"])
        assert (in_force(client).version, score(client)) == (0, model)
        assert "rule 'heavy' is new" in client.get("/health/ready").json()["alarms"][USE_CASE]
        assert metrics(client)["trainserve_proxy_parameters_refused", USE_CASE] == 1

        line = signed_line(home, shifted, 0, "incident 7")
        assert put(client, shifted, why="another reason", signatures=(line,)).status_code == 403
        stored = put(client, shifted, signatures=(line,))
        assert (stored.status_code, stored.json()["version"]) == (200, 2)
        assert score(client) == 1.0 > model
        assert metrics(client)["trainserve_proxy_parameters_refused", USE_CASE] == 0
        assert put(client, document, '"2"').status_code == 200, "what was signed is taken back by one operator"
        assert score(client) == model
        assert put(client, shifted, '"3"', signatures=(line,)).status_code == 403, "a signature counts once"
    assert approver.toys
    assert [(row.parameters_version, row.rule) for row in predictions(home)] == [
        (0, "champion"),
        (0, "champion"),
        (2, "heavy"),
        (3, "champion"),
    ]


def test_what_was_signed_holds_after_a_restart_and_on_a_machine_that_starts_anew(home: Home, url: str) -> None:
    document = parameters({"champion": url})
    put_policy(home, policy(ADA, roles={"champion": 1}, valid_from_utc=now_utc()))
    shifted = replace(document, rules=(HEAVY,))
    with proxied(home, document) as client:
        assert put(client, shifted, signatures=(signed_line(home, shifted, 0, "incident 7"),)).status_code == 200
    for copy in (home.copies / "parameters").iterdir():
        copy.unlink()
    with proxied(home, document) as client:
        assert (in_force(client).version, score(client)) == (1, 1.0)


def test_a_challenger_enters_by_its_release_and_a_parameter_without_a_restart(
    home: Home, url: str, approver: Approver, client: Client
) -> None:
    document = parameters({"champion": url})
    with listening(create_app(home, USE_CASE, "late")) as late:
        entering = replace(document, arms={**document.arms, "late": Arm(upstreams=(late,), share=1.0)})
        assert put(client, entering).status_code == 200
        assert client.post(PREDICT, content=records_body(parcel())).json()["provenance"]["arm"] == "champion"
        approver.release(toy(2), "late", role="challenger")
        eventually(lambda: client.post(PREDICT, content=records_body(parcel())).json().get("provenance", {}).get("arm") == "late")


def test_a_rule_may_not_give_an_arm_more_than_its_release_allows(home: Home, url: str, approver: Approver) -> None:
    approver.release(toy(2), "challenger", greatest_share=0.1)
    document = parameters({"champion": url, "challenger": url})
    with proxied(home, document) as client:
        rule = Rule(name="all", when=Compare(field="weight_kg", by=">=", value=0), then=(UseArm(arm="challenger"),))
        answer = put(client, replace(document, rules=(rule,), fallback_arm="challenger"))

    assert answer.status_code == 400
    assert [problem["path"] for problem in answer.json()["problems"]] == ["rules[0].then", "fallback_arm"]
    assert "may have 10% of the requests" in answer.json()["detail"]


def test_an_inactive_arm_is_never_called_whether_it_is_up_or_not(home: Home, url: str, approver: Approver) -> None:
    approver.release(toy(2), "challenger")
    document = parameters({"champion": url, "challenger": NOBODY}, challenger=Arm(upstreams=(NOBODY,), share=1.0, active=False))
    with proxied(home, document) as client:
        answers = [client.post(PREDICT, content=records_body(parcel(parcel_id=f"P-{number}"))) for number in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    assert {row.attempts for row in predictions(home)} == {1}


def test_a_ramp_is_stored_with_the_keys_of_its_last_step(client: Client, store: DocumentStore) -> None:
    document = in_force(client)
    ramp = Ramp(steps=(Step(at_utc=now_utc(), share=0.1), Step(at_utc=utc("2090-01-01T00:00:00Z"), share=0.5)))
    answer = put(client, replace(document, arms={**document.arms, "late": Arm(share=0.05, ramp=ramp)}))

    assert (answer.status_code, answer.json()["keys"]) == (200, {"late": [[0, 500_000]]})
    assert versions(store, USE_CASE) == [1]
