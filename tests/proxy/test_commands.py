"""`trainserve parameters`, as an operator and an approver use it in an incident."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from lake.commands.line import main
from lake.credentials import add_credential
from lake.home import Home
from proxy.app import create_app as proxy_app
from serving.app import create_app
from tests.approvers import ADA, BOB, PASSPHRASE, policy, put_policy
from tests.proxied import parameters, ship_rows
from tests.scenario import USE_CASE, records_body
from tests.served import PREDICT, Approver, eventually, listening, toy, varied

Told = Callable[..., tuple[object, str, str]]
SHIFTED = """
rules:
- name: heavy
  when: {is: compare, field: weight_kg, by: ">", value: 500}
  then:
  - {do: shift, by: 0.25}
"""


@pytest.fixture
def key(home: Home) -> str:
    """The key of olga, an operator."""
    return add_credential(home.credentials, "olga", ("operator", "client"))


@pytest.fixture
def proxy(home: Home, approver: Approver, key: str) -> Iterator[str]:
    """A proxy that asks for keys, before a released champion."""
    assert key
    approver.release(toy(1))
    with (
        listening(create_app(home, USE_CASE, "champion")) as url,
        listening(proxy_app(home, {USE_CASE: parameters({"champion": url})})) as proxy,
    ):
        yield proxy


@pytest.fixture
def told(proxy: str, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """How `trainserve parameters` ends for olga: its status, what it prints for programs, and what for people."""
    monkeypatch.setenv("TRAINSERVE_PROXY", proxy)
    monkeypatch.setenv("TRAINSERVE_API_KEY", key)
    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", PASSPHRASE)

    def run(*arguments: object) -> tuple[object, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["trainserve", "parameters", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        printed = [line for line in said.out.splitlines(keepends=True) if "[info " not in line]  # the proxy's own log
        return ended.value.code, "".join(printed), said.err

    return run


def edited(told: Told, path: Path, old: str, new: str) -> Path:
    """What is in force, in a file, with one text replaced."""
    status, yaml, said = told("get", USE_CASE)
    assert status == 0, said
    assert old in yaml
    path.write_text(yaml.replace(old, new))
    return path


def test_an_operator_reads_changes_and_looks_back(told: Told, tmp_path: Path) -> None:
    file = edited(told, tmp_path / "wanted.yaml", "timeout_s: 2.0", "timeout_s: 0.5")
    status, said, _ = told("set", USE_CASE, file, "--why", "incident 7")
    assert (status, said) == (
        0,
        "  timeout_s: 2.0 -> 0.5\nVersion 1 of late_parcel is stored, by olga: in force everywhere within a second.\n",
    )
    assert told("set", USE_CASE, file, "--why", "again")[1] == "Nothing differs from version 1.\n"
    told("set", USE_CASE, edited(told, tmp_path / "back.yaml", "timeout_s: 0.5", "timeout_s: 2.0"), "--why", "it is over")

    status, said, _ = told("history", USE_CASE)
    lines = said.splitlines()
    assert status == 0
    assert lines[0].startswith("version 1 of late_parcel, by olga at 20")
    assert lines[0].endswith("Z: incident 7")
    assert lines[1].endswith("Z: it is over")
    assert lines[2] == "    timeout_s: 0.5 -> 2.0"
    assert told("history", USE_CASE, "--last", "1")[1].splitlines() == lines[1:]
    eventually(lambda: ": version 2, not stopped, confirmed at " in told("status", USE_CASE)[1])


def test_every_problem_of_a_file_is_told(told: Told, tmp_path: Path) -> None:
    file = edited(told, tmp_path / "wrong.yaml", "timeout_s: 2.0", "timeout_s: 0\nsalts: x\nsticky: never")
    status, _, said = told("set", USE_CASE, file, "--why", "x")

    assert status == 1
    assert "salts: found an unknown member" in said
    assert "sticky: found " in said
    file.write_text("- a list")
    assert "expected the parameters by their names" in told("set", USE_CASE, file, "--why", "x")[2]
    file.write_text("a: [")
    assert "expected YAML or JSON" in told("set", USE_CASE, file, "--why", "x")[2]


def test_without_a_key_or_a_proxy_it_says_so(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAINSERVE_API_KEY")
    assert "An API key is needed" in told("get", USE_CASE)[2]
    assert "cannot be reached" in told("get", USE_CASE, "--proxy", "http://127.0.0.1:9")[2]
    assert "the proxy's address is 'nowhere'" in told("get", USE_CASE, "--proxy", "nowhere")[2]


def test_a_shift_is_tried_signed_by_two_and_set_by_an_operator(told: Told, tmp_path: Path, home: Home, proxy: str) -> None:
    put_policy(home, policy(ADA, BOB, roles={"champion": 2}))
    file = edited(told, tmp_path / "shifted.yaml", "rules: []\n", SHIFTED)
    arguments = (USE_CASE, file, "--why", "scales are off")

    assert "rule 'heavy' is new: shift the score by +0.25: 0 of 2 signatures" in told("set", *arguments)[2]
    status, first, said = told("sign", *arguments, "--key", ADA.key_file(tmp_path), "--yes")
    assert status == 0, said
    assert "to be signed: rule 'heavy' is new: shift the score by +0.25" in said
    assert ": 1 of 2 signatures" in told("set", *arguments, "--signature", first.strip())[2]
    other = (USE_CASE, file, "--why", "another reason")
    assert told("sign", *other, "--key", BOB.key_file(tmp_path), "--yes", "--add-to", first.strip())[0] == 1
    _, both, _ = told("sign", *arguments, "--key", BOB.key_file(tmp_path), "--yes", "--add-to", first.strip())
    status, said, why_not = told("set", *arguments, "--signature", both.strip())
    assert (status, why_not) == (0, "")
    assert "  rule 'heavy' added" in said
    assert "by olga at" in told("history", USE_CASE)[1]
    assert ", signed: scales are off" in told("history", USE_CASE)[1]
    assert proxy


def test_a_trial_says_what_past_answers_would_have_been(told: Told, tmp_path: Path, home: Home, proxy: str, key: str) -> None:
    file = edited(told, tmp_path / "shifted.yaml", "rules: []\n", SHIFTED)
    assert "There is no logged prediction" in told("test", USE_CASE, file)[2]
    rows = varied(50)
    with httpx.Client(base_url=proxy, trust_env=False, headers={"authorization": f"Bearer {key}"}) as client:
        for row in rows:
            assert client.post(PREDICT, content=records_body(row)).status_code == 200
    ship_rows(home, 50)

    status, said, why_not = told("test", USE_CASE, file)
    heavy = sum(row["weight_kg"] > 500 for row in rows)
    assert (status, why_not) == (0, "")
    assert f"Of the newest 50 logged rows {heavy} would have been answered otherwise." in said
    assert "takes signatures, where the policy asks for any: rule 'heavy' is new" in said
    assert f"rule heavy: {heavy} rows" in said
    assert f"no rule: {50 - heavy} rows" in said
    assert "Shares are not replayed" in said
    file.write_text(file.read_text().replace("weight_kg", "height_m"))
    assert "rules[0].when.field: found 'height_m'" in told("test", USE_CASE, file)[2]
    assert msgspec.yaml.decode(file.read_bytes())["rules"]
