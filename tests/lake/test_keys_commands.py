"""`trainserve keys` and `trainserve approvers`: from no key at all to a policy that two people changed together."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lake.credentials import Credentials
from lake.home import Home
from lake.release.approvers import read_policies, read_written, write_written
from lake.release.signatures import ApproverKey, public_text
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, EVE, PASSPHRASE, Person, policy, put_policy
from tests.lake.conftest import Trainserve

PUBLIC = {person.name: public_text(person.key.public) for person in (ADA, BOB, EVE)}


@pytest.fixture
def _passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", PASSPHRASE)


def added(*people: Person) -> list[str]:
    return [f"--add={person.name}={PUBLIC[person.name]}" for person in people]


@pytest.mark.usefixtures("_passphrase")
def test_a_new_key_is_kept_under_the_passphrase_and_its_public_half_is_ready_to_paste(
    trainserve: Trainserve, home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "keys" / "dora.key"
    made = trainserve("keys", "new", "dora", "--file", file)
    key = ApproverKey.read(file, PASSPHRASE)
    [command] = re.findall(r"^  trainserve (approvers propose --add .*)$", made.out, re.MULTILINE)

    assert made.status == 0
    assert command.endswith(f"--add dora={public_text(key.public)}")
    assert file.stat().st_mode & 0o777 == 0o600
    assert trainserve(*command.split()).status == 0
    assert [one.name for one in read_policies(home.approvers).newest.policy.approvers] == ["dora"]


@pytest.mark.usefixtures("_passphrase")
def test_by_default_a_key_stands_in_its_owners_own_folder(
    trainserve: Trainserve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert trainserve("keys", "new", "dora").status == 0
    assert (tmp_path / ".config/trainserve/dora.key").is_file()


@pytest.mark.usefixtures("_passphrase")
def test_a_key_is_never_overwritten(trainserve: Trainserve, tmp_path: Path) -> None:
    file = ADA.key_file(tmp_path)
    before = file.read_bytes()
    again = trainserve("keys", "new", "ada", "--file", file)

    assert again.status == 1
    assert "keys are never overwritten" in again.err
    assert file.read_bytes() == before


@pytest.mark.usefixtures("_passphrase")
@pytest.mark.parametrize("name", ["", "  ", "ada=bob", "../ada"])
def test_a_name_that_no_option_could_take_is_refused(trainserve: Trainserve, name: str) -> None:
    ended = trainserve("keys", "new", name)

    assert ended.status == 1
    assert "expected the approver's name, without = and /" in ended.err


def test_without_a_passphrase_and_a_terminal_no_key_is_made(trainserve: Trainserve, tmp_path: Path) -> None:
    file = tmp_path / "dora.key"
    ended = trainserve("keys", "new", "dora", "--file", file)

    assert ended.status == 1
    assert "expected one in TRAINSERVE_PASSPHRASE, or a terminal to type it on" in ended.err
    assert not file.exists()


@pytest.mark.parametrize(("second", "status"), [("the same", 0), ("another", 1)])
def test_on_a_terminal_a_new_passphrase_is_typed_twice(tmp_path: Path, second: str, status: int) -> None:
    file = tmp_path / "dora.key"
    command = [str(Path(sys.executable).with_name("trainserve")), "keys", "new", "dora", "--file", str(file)]
    keyboard, terminal = os.openpty()
    pipes: dict[str, Any] = {"stdin": terminal, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stderr is not None
        for word in ("the same", second):
            prompt = b""
            while not prompt.endswith(b": "):
                letter = process.stderr.read(1)
                assert letter, f"it ended before it asked: {prompt!r}"
                prompt += letter
            os.write(keyboard, f"{word}\n".encode())
        out, err = process.communicate(timeout=60)
    os.close(keyboard)
    os.close(terminal)

    assert process.returncode == status, err
    assert b"the same" not in out, "what is typed is not shown"
    if status:
        assert b"is 'two different ones', expected the same twice" in err
        assert not file.exists()
    else:
        assert ApproverKey.read(file, "the same").public


def test_two_people_change_the_policy_together(
    trainserve: Trainserve, monkeypatch: pytest.MonkeyPatch, home: Home, tmp_path: Path
) -> None:
    first = trainserve("approvers", "propose", *added(ADA, BOB), "--needs=champion=2", "--tier=high=2,30", "--quorum=2")
    assert (first.status, first.err) == (0, "")
    assert "Version 1 is written" in first.out

    proposed = trainserve("approvers", "propose", *added(EVE), "--roles-of=eve=shadow", "--use-cases-of=eve=flights")
    assert "It counts once 2 of the approvers sign it" in proposed.out
    waiting = trainserve("approvers", "show")
    assert "Version 2 waits: it has 0 of 2 signatures of approvers whom version 1 names." in waiting.out

    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", PASSPHRASE)
    once = trainserve("approvers", "sign", ADA.key_file(tmp_path))
    assert "Signed. It has 1 of 2 signatures" in once.out
    assert f"key {PUBLIC['eve']}" in once.out, "what is signed is shown"
    twice = trainserve("approvers", "sign", BOB.key_file(tmp_path))
    assert twice.out.endswith("Signed.\n")

    shown = trainserve("approvers", "show").out
    assert "2 versions in force so far" in shown
    assert "eve: shadow of flights" in shown
    assert "signatures: champion 2; by tier low 0 for 365 days, medium 0 for 180 days, high 2 for 30 days; quorum 2" in shown
    assert read_policies(home.approvers).newest.policy.version == 2


@pytest.mark.usefixtures("_passphrase")
def test_a_retired_key_and_a_new_platform_key_are_shown_before_they_are_signed(trainserve: Trainserve, tmp_path: Path) -> None:
    trainserve("approvers", "propose", *added(ADA, BOB))
    moment = rfc3339(now_utc() + timedelta(days=3))
    trainserve("approvers", "propose", "--retire=bob", f"--platform-key={PUBLIC['eve']}", f"--valid-from={moment}")
    signing = trainserve("approvers", "sign", ADA.key_file(tmp_path))

    assert re.search(rf"bob: .*\n    key {re.escape(PUBLIC['bob'])} from \S+ until {moment}", signing.out)
    assert f"the platform, which signs events\n    key {PUBLIC['eve']} from {moment}" in signing.out


def test_without_a_file_it_says_that_names_are_claimed(trainserve: Trainserve) -> None:
    shown = trainserve("approvers", "show")

    assert shown.status == 0
    assert "anybody but the trainer, with a name that is claimed, not signed" in shown.out


def test_words_that_a_terminal_could_take_for_markup_are_printed_as_they_are(trainserve: Trainserve, home: Home) -> None:
    put_policy(home, policy(ADA.listed(name="[bold]ada[/nothing]", logins=("[red]",))))

    assert (
        "[bold]ada[/nothing]: champion, challenger, shadow of all use cases, known as [red]"
        in trainserve("approvers", "show").out
    )


PAST, FAR = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "quorum is 1, expected at most 0"),
        (["--add=ada"], "--add is 'ada', expected NAME=PUBLIC_KEY"),
        (["--add=ada=short"], "public_key is 'short', expected base64 of the 32 bytes"),
        ([*added(ADA), f"--add=bob={PUBLIC['ada']}"], "public_key of an approver is"),
        (["--retire=ada"], "--retire is 'ada', expected one of []"),
        ([*added(ADA), "--roles-of=ada=king"], "--roles-of is 'ada=king'"),
        ([*added(ADA), "--roles-of=bob=shadow"], "--roles-of is 'bob', expected one of ['ada']"),
        ([*added(ADA), "--needs=champion"], "--needs is 'champion', expected ROLE=SIGNATURES"),
        ([*added(ADA), "--needs=champion=many"], "--needs is 'champion=many', expected ROLE=SIGNATURES"),
        ([*added(ADA), "--needs=champion=2"], "signatures for a champion is 2, expected at most 1"),
        ([*added(ADA), "--needs=champion=-1"], ">= 0"),
        ([*added(ADA), "--tier=huge=1,30"], "--tier is 'huge=1,30'"),
        ([*added(ADA), "--tier=high=1"], "--tier is 'high=1', expected TIER=SIGNATURES,DAYS"),
        ([*added(ADA), "--tier=high=1,0"], ">= 1"),
        ([*added(ADA), "--quorum=0"], ">= 1"),
        ([*added(ADA), "--quorum=2"], "quorum is 2, expected at most 1"),
        ([*added(ADA), "--platform-key=short"], "public_key is 'short'"),
        ([*added(ADA), "--valid-from=soon"], "--valid-from is 'soon', expected a time in UTC"),
        ([*added(ADA), "--valid-from=2999-01-01T00:00:00"], "expected a time in UTC"),
        ([*added(ADA), f"--valid-from={PAST}"], f"--valid-from is '{PAST}', expected a moment after"),
    ],
)
def test_a_proposal_that_cannot_be_is_refused_and_nothing_is_written(
    trainserve: Trainserve, home: Home, arguments: list[str], complaint: str
) -> None:
    ended = trainserve("approvers", "propose", *arguments)

    assert ended.status == 1
    assert complaint in ended.err
    assert not home.approvers.exists()


def test_a_version_is_never_in_force_before_the_one_that_it_follows(trainserve: Trainserve, home: Home) -> None:
    assert trainserve("approvers", "propose", *added(ADA), f"--valid-from={FAR}").status == 0
    before = home.approvers.read_bytes()
    ended = trainserve("approvers", "propose", *added(BOB))

    assert ended.status == 1
    assert "expected a moment after 2999-01-01T00:00:00.000Z" in ended.err
    assert home.approvers.read_bytes() == before


def test_one_version_is_proposed_at_a_time(trainserve: Trainserve, home: Home) -> None:
    trainserve("approvers", "propose", *added(ADA))
    trainserve("approvers", "propose", *added(BOB))
    ended = trainserve("approvers", "propose", *added(EVE))

    assert ended.status == 1
    assert "0 of 1 signatures" in ended.err
    assert "its signatures, or its removal, before another is proposed" in ended.err
    assert len(read_written(home.approvers)) == 2


@pytest.mark.usefixtures("_passphrase")
def test_a_stranger_signs_nothing(trainserve: Trainserve, home: Home, tmp_path: Path) -> None:
    trainserve("approvers", "propose", *added(ADA))
    trainserve("approvers", "propose", *added(EVE))
    before = home.approvers.read_bytes()
    ended = trainserve("approvers", "sign", EVE.key_file(tmp_path))

    assert ended.status == 1
    assert "expected a key of an approver whom version 1 names" in ended.err
    assert home.approvers.read_bytes() == before


@pytest.mark.usefixtures("_passphrase")
def test_what_is_no_key_file_is_named(trainserve: Trainserve, tmp_path: Path) -> None:
    trainserve("approvers", "propose", *added(ADA))
    trainserve("approvers", "propose", *added(BOB))
    text, open_to_all = tmp_path / "notes.txt", ADA.key_file(tmp_path)
    text.write_text("no key")
    text.chmod(0o600)
    open_to_all.chmod(0o644)

    assert "No such file" in trainserve("approvers", "sign", tmp_path / "nowhere.key").err
    assert "notes.txt is" in trainserve("approvers", "sign", text).err
    assert "nobody but its owner may read it" in trainserve("approvers", "sign", open_to_all).err


def test_a_wrong_passphrase_signs_nothing(trainserve: Trainserve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trainserve("approvers", "propose", *added(ADA))
    trainserve("approvers", "propose", *added(BOB))
    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", "battery staple")
    ended = trainserve("approvers", "sign", ADA.key_file(tmp_path))

    assert ended.status == 1
    assert "and the passphrase it was made with" in ended.err


@pytest.mark.parametrize("command", [["show"], ["propose", "--quorum=1"], ["sign", "some.key"]])
def test_a_file_that_does_not_hold_is_no_ground_to_go_on(trainserve: Trainserve, home: Home, command: list[str]) -> None:
    put_policy(home, policy(ADA))
    trainserve("approvers", "show")
    home.approvers.write_text("- policy: {}")
    before = home.approvers.read_bytes()

    assert trainserve("approvers", *command).status == 1
    assert home.approvers.read_bytes() == before


def test_a_file_that_lost_what_was_seen_is_told(trainserve: Trainserve, home: Home) -> None:
    put_policy(home, policy(ADA))
    trainserve("approvers", "show")
    write_written(home.approvers, [])
    ended = trainserve("approvers", "show")

    assert ended.status == 1
    assert "at least 1, as were seen before" in ended.err


def test_a_client_gets_a_key_that_is_shown_once_and_servers_keep_its_hash(trainserve: Trainserve, home: Home) -> None:
    assert "nobody is asked for a key" in trainserve("keys", "list").out
    made = trainserve("keys", "client", "shop", "--role", "client", "--role", "labeller")
    key = made.out.strip()
    found = Credentials.read(home.credentials).find(key)

    assert made.status == 0
    assert found is not None
    assert (found.id, found.roles) == ("shop", ("client", "labeller"))
    assert key not in home.credentials.read_text()
    assert "It is the first: from now on whoever has no key is refused" in made.err
    assert key not in made.err, "the key alone is on the standard output, for a script to take"
    assert trainserve("keys", "list").out == "shop: client, labeller\n"


def test_a_name_has_one_key_until_it_is_withdrawn(trainserve: Trainserve, home: Home) -> None:
    first = trainserve("keys", "client", "olga", "--role", "operator").out.strip()
    again = trainserve("keys", "client", "olga")
    assert again.status == 1
    assert "credential id is 'olga', expected one that the file does not have yet" in again.err
    assert trainserve("keys", "withdraw", "olga").out.startswith("The key of olga is withdrawn; 0 are left in ")
    assert Credentials.read(home.credentials).find(first) is None
    assert not Credentials.read(home.credentials).open_to_all, "nothing opens by taking the last key away"
    unknown = trainserve("keys", "withdraw", "olga")
    assert (unknown.status, "There is no key of 'olga'." in unknown.err) == (1, True)
    assert "has none: nobody is let in." in trainserve("keys", "list").out
    assert trainserve("keys", "client", "olga").status == 0


@pytest.mark.parametrize("arguments", [["shop", "--role", "admin"], [" "], ["a\nb"]])
def test_a_key_for_nobody_or_for_what_is_no_role_is_not_made(trainserve: Trainserve, home: Home, arguments: list[str]) -> None:
    assert trainserve("keys", "client", *arguments).status in (1, 2)
    assert not home.credentials.exists()
