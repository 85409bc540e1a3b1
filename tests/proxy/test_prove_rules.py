"""An answer that rules made is explained whole: who signed them, that they fire for its fields, and what they do."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from lake.documents import canonical
from lake.home import Home
from lake.log.evidence import Evidence, gather
from lake.log.shipper import Shipper
from lake.parameters.document import Fixed, Parameters
from lake.parameters.rules import Answer, Clip, Compare, Missing, Rule, Shift, Threshold
from lake.times import now_utc
from serving.app import create_app
from tests.approvers import ADA, BOB, policy, put_policy
from tests.proxied import parameters, proxied
from tests.proxy.operators import put
from tests.proxy.test_change import signed_line
from tests.proxy.test_prove import claims
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, listening, toy

HEAVY = Rule(
    name="heavy",
    when=Compare(field="weight_kg", by=">=", value=100),
    then=(Shift(by=0.25), Clip(high=0.6), Threshold(at=0.125)),
)
UNCARRIED = Rule(name="uncarried", when=Missing(field="carrier"), then=(Answer(scores=(0.75,)),))


class Told(msgspec.Struct, frozen=True):
    """A home, and the requests that it answered: by no rule, by both, without a model, and while it was inactive."""

    home: Home
    plain: str
    both: str
    settled: str
    inactive: str


LIGHT, HEAVIER, NOBODY_S = parcel(weight_kg=12.5), parcel(weight_kg=900.0), parcel(carrier=None, weight_kg=12.5)


def ask(client: Client, *rows: dict[str, Any]) -> str:
    answer = client.post(PREDICT, content=records_body(*rows))
    assert answer.status_code == 200, answer.text
    return answer.headers["trainserve-request-id"]


def change(home: Home, client: Client, document: Parameters, before: int, *, signed: bool) -> None:
    lines = (signed_line(home, document, before, "incident 7"),) if signed else ()
    answer = put(client, document, f'"{before}"', signatures=lines)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Rules that ada signed, then a change that nobody had to sign, then an answer for when it is inactive, signed again."""
    home = Home.at(tmp_path_factory.mktemp("ruled") / "home")
    Approver(home).release(toy(1))
    put_policy(home, policy(ADA, BOB, roles={"champion": 1}, valid_from_utc=now_utc()))
    with listening(create_app(home, USE_CASE, "champion")) as url:
        document = parameters({"champion": url}, timeout_s=20.0)
        with proxied(home, document) as client:
            ruled = replace(document, rules=(HEAVY, UNCARRIED), threshold=0.7)
            change(home, client, ruled, 0, signed=True)
            slower = replace(ruled, timeout_s=21.0)
            change(home, client, slower, 1, signed=False)
            plain, both, settled = ask(client, LIGHT), ask(client, HEAVIER, NOBODY_S), ask(client, NOBODY_S)
            off = replace(slower, active=False, inactive_answer=Fixed(scores=(0.5,)))
            change(home, client, off, 2, signed=True)
            inactive = ask(client, LIGHT)
    Shipper(home).ship()
    return Told(home, plain, both, settled, inactive)


def test_the_signers_are_named_of_the_version_and_of_the_rule(told: Told) -> None:
    judged = claims(told.home, gather(told.home, told.both))

    assert {about: judged[about][0] for about in ("The routing", "The parameters", "The scores", "The answer")} == dict.fromkeys(
        ("The routing", "The parameters", "The scores", "The answer"), True
    )
    said = judged["The parameters"][1]
    assert said.startswith("Version 2, by anybody, as there is no credentials.yaml at ")
    assert said.endswith(": signed by nobody, as it changes what no answer means. Version 1 before it was signed by ada.")
    for rule in ("heavy", "uncarried"):
        assert f"Rule {rule!r} is in force since version 1, signed by ada." in judged["The answer"][1]


def test_every_way_to_an_answer_is_worked_out_again(told: Told) -> None:
    plain, both, settled, inactive = (
        claims(told.home, gather(told.home, one))["The answer"] for one in (told.plain, told.both, told.settled, told.inactive)
    )

    assert (plain[0], both[0], settled[0], inactive[0]) == (True, True, True, True)
    assert "Row 0: no rule fires, and [0." in plain[1]
    assert "The decision was no." in plain[1]
    effects = "rule 'heavy' fires for its fields: shift the score by +0.25, clip the score to at most 0.6, decide yes from 0.125."
    assert effects in both[1]
    assert "The decision was yes. Row 1: the model gave [0." in both[1]
    assert (
        "Row 0: no model was asked; rule 'uncarried' fires for its fields: answer [0.75]. So [0.75]. The decision was yes."
        in (settled[1])
    )
    assert inactive[1] == "Row 0 was answered [0.5], which stands for it while it is inactive."


def altered(evidence: Evidence, version: int, document: Parameters) -> Evidence:
    """The evidence with another version of the parameters in it."""
    path = f"{USE_CASE}/parameters/{version:08}.json"
    return replace(evidence, documents={**evidence.documents, path: canonical(document)})


def of_version(evidence: Evidence, version: int) -> Parameters:
    return msgspec.json.decode(evidence.documents[f"{USE_CASE}/parameters/{version:08}.json"], type=Parameters)


def test_rules_that_nobody_signed_or_that_would_answer_otherwise_do_not_hold(told: Told) -> None:
    evidence = gather(told.home, told.both)
    other = replace(HEAVY, then=(Shift(by=0.375), *HEAVY.then[1:]))
    forged = claims(told.home, altered(evidence, 2, replace(of_version(evidence, 2), rules=(other, UNCARRIED))))
    assert forged["The parameters"][0] is False
    assert "rule 'heavy' is new" in forged["The parameters"][1]
    assert forged["The answer"][0] is False

    elsewhere = replace(of_version(evidence, 2), rules=(UNCARRIED,))
    assert claims(told.home, altered(evidence, 2, elsewhere))["The answer"][0] is False
    stolen = replace(of_version(evidence, 2), proposal=of_version(evidence, 1).proposal)
    assert "another change, of version 0" in claims(told.home, altered(evidence, 2, stolen))["The parameters"][1]


def test_without_the_versions_before_nobody_can_tell_who_signed(told: Told) -> None:
    evidence = gather(told.home, told.both)
    documents = {path: one for path, one in evidence.documents.items() if not path.endswith("/parameters/00000001.json")}
    judged = claims(told.home, replace(evidence, documents=documents))

    assert (judged["The parameters"][0], judged["The answer"][0]) == (None, None)
    assert judged["The parameters"][1] == "Who signed version 2 cannot be told: version 1 is not at hand."


def test_who_names_other_approvers_does_not_follow_the_rules(told: Told, tmp_path: Path) -> None:
    other = Home.at(tmp_path / "other")
    other.keys.parent.mkdir(parents=True)
    other.keys.symlink_to(told.home.keys)
    put_policy(other, policy(BOB, roles={"champion": 1}))

    assert claims(other, gather(told.home, told.both))["The parameters"][0] is False
