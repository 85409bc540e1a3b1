"""The kill switch: without the lake, in every worker, confirmed by each, and over any parameters."""

import sys
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname
from time import monotonic

import pytest

from lake.commands.line import main
from lake.home import Home
from lake.stops import Stop, Stops, read_stops, stop
from lake.workers import Registration, count_workers, read_workers
from proxy.app import create_app as proxy_app
from tests.load import Load
from tests.proxied import parameters, predictions, proxied
from tests.proxy.operators import in_force
from tests.proxy.test_operation import metrics
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Client, eventually, listening


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """How `trainserve` ended with these arguments, and what it said."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["trainserve", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().out


def status(client: Client) -> int:
    return client.post(PREDICT, content=records_body(parcel())).status_code


def test_under_load_and_with_the_lake_away_every_worker_stops_within_a_second_and_confirms_it(
    home: Home, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = parameters(urls, challenger_share=0.5)
    with ExitStack() as stack:
        addresses = [stack.enter_context(listening(proxy_app(home, {USE_CASE: document}))) for _ in range(2)]
        Path(home.lake).rename(home.root / "away")
        loads = [Load(address, clients=2) for address in addresses]
        eventually(lambda: all(load.acknowledged() for load in loads))
        began = monotonic()
        ended, said = told(monkeypatch, capsys, "stop", USE_CASE, "--why", "incident 7", "--proxy", "http://127.0.0.1:9")
        confirmed = monotonic()
        eventually(lambda: all(len(load.since(confirmed)) > 20 for load in loads))
        for load in loads:
            load.stop()

    assert ended == 1, "nobody can tell what the workers of a proxy go by that cannot be reached"
    assert "workers of http://127.0.0.1:9: have NOT confirmed it, as nobody can tell: " in said
    assert said.count(": confirmed at ") == 2
    assert "It holds on this machine alone, as it could not be stored: the proxy at http://127.0.0.1:9" in said
    assert confirmed - began < 3, "a second, and what a busy machine adds"
    for load in loads:
        # What was asked before the switch may still be answered; a client has one request at a time.
        late = load.since(confirmed)[4:]
        assert {answer.status_code for answer in late} == {503}
        assert {answer.status_code for answer in load.since(0)} == {200, 503}
    assert {(row.outcome, row.rule) for row in predictions(home) if row.status == 503} == {("inactive", "stopped")}


def test_it_is_stored_for_all_machines_through_a_proxy_and_ended_the_same_way(
    home: Home, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Home.at(home.root.parent / "elsewhere", home.lake)
    for name in ("keys", "heads"):
        (home.root / name).mkdir(exist_ok=True)
        elsewhere.root.mkdir(exist_ok=True)
        (elsewhere.root / name).symlink_to(home.root / name)
    document = parameters(urls)
    with listening(proxy_app(home, {USE_CASE: document})) as proxy, proxied(elsewhere, document) as other:
        assert status(other) == 200
        ended, said = told(monkeypatch, capsys, "stop", USE_CASE, "--why", "incident 7", "--proxy", proxy)
        assert (ended, "Stored as version 1" in said) == (0, True)
        eventually(lambda: status(other) == 503)
        assert in_force(other).why == "stopped: incident 7"
        ended, said = told(monkeypatch, capsys, "resume", USE_CASE, "--why", "it was the network", "--proxy", proxy)
        assert (ended, "Stored as version 2" in said) == (0, True)
        eventually(lambda: status(other) == 200)


def test_a_stopped_arm_gets_nothing_and_a_proxy_that_starts_goes_by_it(
    home: Home, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop(home, USE_CASE, "challenger", Stop(by="olga", why="incident 8"))
    with proxied(home, parameters(urls, challenger_share=1.0)) as client:
        assert client.post(PREDICT, content=records_body(parcel())).json()["provenance"]["arm"] == "champion"
        in_force_here = client.get("/health/ready").json()["parameters"][USE_CASE]
        assert in_force_here["stopped_arms"] == {"challenger": "by olga: incident 8"}
        arguments = ("resume", USE_CASE, "--arm", "challenger", "--why", "mended", "--here-alone")
        assert told(monkeypatch, capsys, *arguments)[0] == 0
        assert client.post(PREDICT, content=records_body(parcel())).json()["provenance"]["arm"] == "challenger"


def test_an_empty_file_stops_too_and_says_so(home: Home, urls: dict[str, str]) -> None:
    with proxied(home, parameters(urls)) as client:
        assert status(client) == 200
        home.stops.mkdir()
        (home.stops / USE_CASE).touch()
        eventually(lambda: status(client) == 503)
        assert client.get("/health/ready").json()["parameters"][USE_CASE]["stopped"] == "by unknown: no reason is given"
        assert metrics(client)["trainserve_proxy_stopped", USE_CASE] == 1
        (home.stops / USE_CASE).unlink()
        eventually(lambda: status(client) == 200)


@pytest.mark.parametrize("content", [b"", b"{", b'{"who": 1}', b"\xff", b"[" * 10_000])
def test_whatever_stands_in_the_file_it_stops(home: Home, content: bytes) -> None:
    home.stops.mkdir(parents=True)
    (home.stops / USE_CASE).write_bytes(content)

    assert read_stops(home).of(USE_CASE) == Stop()


@pytest.mark.parametrize("name", ["../other", "a/b", "", "a.b"])
def test_a_name_that_is_none_stops_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert told(monkeypatch, capsys, "stop", name, "--why", "x", "--here-alone")[0] == 1
    assert read_stops(home) == Stops()


def test_workers_are_those_that_live(home: Home) -> None:
    first, second = Registration(home), Registration(home)
    assert [worker.use_cases for worker in read_workers(home)] == [{}, {}]
    second.close()
    assert [worker.id for worker in read_workers(home)] == [first.id]
    (home.workers / "77-dead.lock").touch()
    (home.workers / "77-dead.json").write_bytes(b"{}")
    assert count_workers(home) == 1
    assert not list(home.workers.glob("77-dead.*"))
    first.close()
    assert (read_workers(home), count_workers(home)) == ([], 1)


def test_a_worker_that_does_not_confirm_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deaf = Registration(home)
    monkeypatch.setattr("lake.commands.confirmations.CONFIRMED_WITHIN_S", 0.2)

    ended, said = told(monkeypatch, capsys, "stop", USE_CASE, "--why", "x", "--here-alone")
    deaf.close()
    assert ended == 1
    assert f"worker {deaf.id} of {gethostname()}, by this machine: has NOT confirmed it within 0.2 s" in said
