"""Parameters while the lake is away: what stops or lowers holds at once on this machine, and is in the lake when it is back."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from msgspec.structs import asdict, replace

from lake.documents import DocumentStore
from lake.home import Home
from lake.parameters import Parameters, publish_parameters, read_parameters
from lake.parameters.client import ParametersClient
from lake.parameters.document import Content, change_of, content_of
from lake.parameters.held import HeldChange, read_held
from lake.parameters.stored import versions
from lake.workers import read_workers
from proxy.app import create_app as proxy_app
from tests.proxied import parameters, predictions, proxied
from tests.proxy.operators import PARAMETERS, in_force, put
from tests.proxy.test_stop import told
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, Client, eventually, listening

CHALLENGED = {"challenger_share": 0.5, "timeout_s": 20.0}


def away(home: Home) -> Path:
    """Take the lake away; returns where it is meanwhile."""
    return Path(home.lake).rename(home.root / "away")


def statuses(client: Client | httpx.Client) -> set[int]:
    return {client.post(PREDICT, content=records_body(parcel(parcel_id=f"P-{number}"))).status_code for number in range(20)}


def lowered(document: Content, share: float) -> Content:
    """The same with another share of the challenger."""
    arms = {**document.arms, "challenger": replace(document.arms["challenger"], share=share)}
    return replace(content_of(document), arms=arms)


def test_a_lower_share_holds_at_once_over_a_restart_and_is_stored_when_the_lake_is_back(
    home: Home, approver: Approver, urls: dict[str, str]
) -> None:
    document = parameters(urls, **CHALLENGED)
    with proxied(home, document) as client:
        lake = away(home)
        answer = put(client, lowered(document, 0.0))
        assert (answer.status_code, answer.json()["after_version"]) == (202, 0)
        assert client.get("/health/ready").json()["arms"][USE_CASE]["challenger"]["share"] == 0.0
        [held] = client.get("/health/ready").json()["parameters"][USE_CASE]["held"]
        assert held.startswith("at most 0 for arm 'challenger', held here by anybody, as there is no credentials.yaml at ")
        assert "at most 0 for arm &#x27;challenger&#x27;, held here by " in client.get("/status").text
        assert put(client, lowered(document, 0.0)).status_code == 202
        assert len(read_held(home)) == 1, "what is held already is not held again"
        assert (statuses(client), in_force(client).version) == ({200}, 0)

    with proxied(home, document) as client:
        assert statuses(client) == {200}
        lake.rename(home.lake)
        eventually(lambda: in_force(client).version == 1)
        eventually(lambda: not read_held(home))
        eventually(lambda: client.get("/health/ready").json()["parameters"][USE_CASE]["held"] == [])
        stored = read_parameters(approver.store, USE_CASE, 1)
        assert (stored.arms["challenger"].share, stored.changed_by) == (0.0, "anybody, as there is no credentials.yaml")
        assert stored.why.startswith("incident 7 (held since ")
    assert {row.arm for row in predictions(home)} == {"champion"}


def test_what_does_more_than_lower_changes_nothing_while_the_lake_is_away(home: Home, urls: dict[str, str]) -> None:
    document = parameters(urls, **CHALLENGED)
    with proxied(home, document) as client:
        away(home)
        for wanted in (lowered(document, 0.6), replace(lowered(document, 0.0), timeout_s=1.0), content_of(document)):
            answer = put(client, wanted)
            assert answer.status_code == 503
            assert "stopping and lowering alone hold, here" in answer.json()["detail"]
        assert not read_held(home)


def test_it_is_laid_over_what_another_machine_stored_meanwhile(home: Home, urls: dict[str, str]) -> None:
    document = parameters(urls, **CHALLENGED)
    with proxied(home, document) as client:
        lake = away(home)
        assert put(client, lowered(document, 0.1)).status_code == 202
        meanwhile = Parameters(**asdict(lowered(document, 0.4)), use_case=USE_CASE, why="meanwhile")
        publish_parameters(DocumentStore(str(lake)), replace(meanwhile, timeout_s=1.5), 0)
        lake.rename(home.lake)
        eventually(lambda: in_force(client).version == 2)
        assert (in_force(client).arms["challenger"].share, in_force(client).timeout_s) == (0.1, 1.5)


def test_of_several_workers_one_brings_it_and_all_have_confirmed_it(home: Home, approver: Approver, urls: dict[str, str]) -> None:
    document = {USE_CASE: parameters(urls, **CHALLENGED)}
    with ExitStack() as stack:
        proxies = [stack.enter_context(listening(proxy_app(home, document))) for _ in range(3)]
        lake = away(home)
        client = ParametersClient(proxies[0])
        before = client.get(USE_CASE)
        made = client.put(USE_CASE, 0, change_of(replace(content_of(before), active=False), "incident 8"))
        assert isinstance(made, HeldChange)
        eventually(lambda: all(worker.use_cases[USE_CASE].stopped for worker in client.workers(USE_CASE)))
        assert {worker.id for worker in client.workers(USE_CASE)} == {worker.id for worker in read_workers(home)}
        assert len(read_workers(home)) == 3
        for url in proxies:
            with httpx.Client(base_url=url, trust_env=False) as asking:
                assert statuses(asking) == {503}
        lake.rename(home.lake)
        eventually(lambda: all(worker.use_cases[USE_CASE].inactive for worker in client.workers(USE_CASE)))
        eventually(lambda: not any(worker.use_cases[USE_CASE].stopped for worker in client.workers(USE_CASE)))
        assert versions(approver.store, USE_CASE) == [1], "it was stored once"
    assert {(row.outcome, row.rule, row.parameters_version) for row in predictions(home)} == {("inactive", "stopped", 0)}


def test_the_kill_switch_reaches_other_machines_while_the_lake_is_away_and_names_who_confirmed(
    home: Home, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    others = [Home.at(home.root.parent / name, home.lake) for name in ("second", "third")]
    document = parameters(urls, **CHALLENGED)
    with ExitStack() as stack:
        stack.enter_context(listening(proxy_app(home, {USE_CASE: document})))
        for other in others:
            shutil.copytree(home.keys, other.keys)
        there = [stack.enter_context(listening(proxy_app(other, {USE_CASE: document}))) for other in others]
        for url in there:
            with httpx.Client(base_url=url, trust_env=False) as asking:
                assert statuses(asking) == {200}
        lake = away(home)
        ids = [read_workers(one)[0].id for one in (home, *others)]
        monkeypatch.setenv("TRAINSERVE_PROXY", ", ".join(there))
        ended, said = told(monkeypatch, capsys, "stop", USE_CASE, "--why", "incident 9")
        assert ended == 0, said
        for url in there:
            assert f"The lake is away: the machine of {url} holds it, until it can be stored." in said
        for worker, place in zip(ids, ("this machine", *there), strict=True):
            assert [line for line in said.splitlines() if line.startswith(f"  worker {worker} of ") and place in line]
        assert said.count(": confirmed at ") == 3
        for url in there:
            with httpx.Client(base_url=url, trust_env=False) as asking:
                assert statuses(asking) == {503}

        ended, said = told(monkeypatch, capsys, "resume", USE_CASE, "--why", "mended")
        assert ended == 0, said
        assert said.count("held for the lake is taken back.") == 2
        for url in there:
            with httpx.Client(base_url=url, trust_env=False) as asking:
                assert statuses(asking) == {200}
        lake.rename(home.lake)


def test_a_monitor_may_lower_what_is_held_and_take_back_nothing(home: Home, urls: dict[str, str]) -> None:
    from lake.credentials import add_credential

    keys = {name: add_credential(home.credentials, name, (name,)) for name in ("operator", "monitor")}
    document = parameters(urls, **CHALLENGED)
    with proxied(home, document) as client:
        away(home)
        assert put(client, lowered(document, 0.1), key=keys["monitor"]).json()["by"] == "monitor"
        held = f"{PARAMETERS}/held"
        assert client.delete(held, headers={"authorization": f"Bearer {keys['monitor']}"}).status_code == 403
        one_arm = client.delete(f"{held}?arm=challenger", headers={"authorization": f"Bearer {keys['operator']}"})
        assert one_arm.json() == {"taken_back": 0}, "it does not only switch off that arm"
        assert client.delete(held, headers={"authorization": f"Bearer {keys['operator']}"}).json() == {"taken_back": 1}
        assert client.get("/health/ready").json()["arms"][USE_CASE]["challenger"]["share"] == 0.5
