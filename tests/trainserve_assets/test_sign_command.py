"""`trainserve sign`: what an approver is shown, what is signed only after a yes, and that the line it prints releases."""

import io
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from lake.commands.line import main
from lake.home import Home
from lake.release.live import fold
from lake.times import now_utc, rfc3339
from tests.approvers import ADA, BOB, EVE, PASSPHRASE, Person, policy, put_policy
from tests.dagit import dagit_on
from tests.parcel_training import Platform, failures, write_defs
from trainserve_assets.approval.pasted import PREFIX
from trainserve_assets.platform.processes import wait_for
from trainserve_assets.platform.topology import prepare_dagster_home

RECORDED_WITHIN_S = 120.0
WHY = "it ranks better on every depot: 3 of 3"


class Said(msgspec.Struct, frozen=True):
    """How the command ended, and what it printed: `out` for the next program, `err` for the person."""

    status: int | str | None
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line to paste."""
        assert self.status == 0, self.err
        [line] = self.out.splitlines()
        assert line.startswith(PREFIX)
        return line

    @property
    def words(self) -> str:
        """What the person reads, on one line."""
        return " ".join(self.err.split())


Sign = Callable[..., Said]


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sign:
    """The command, as this person runs it: with these arguments, and these lines typed."""
    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", PASSPHRASE)

    def run(person: Person, *arguments: str, typed: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["trainserve", "sign", *arguments, "--key", str(person.key_file(tmp_path))])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Said(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def known(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The platform, whose use case the command knows."""
    write_defs(tmp_path / "defs", platform.use_case)
    monkeypatch.setattr("trainserve_assets.catalog._DEFS", tmp_path / "defs")
    return platform


@pytest.fixture
def alone(known: Platform) -> Platform:
    """The platform where one signature makes a champion."""
    put_policy(known.home, policy(ADA, BOB, roles={"champion": 1}))
    return known


@pytest.fixture
def together(known: Platform) -> Platform:
    """The platform where a champion needs both ada and bob."""
    put_policy(known.home, policy(ADA, BOB, roles={"champion": 2}))
    return known


def assert_nothing_signed(said: Said, *words: str) -> None:
    """It failed, saying these words, and printed no line."""
    assert said.status == 1
    assert said.out == ""
    for word in words:
        assert word in said.words


def test_two_people_sign_one_after_the_other_and_their_line_releases(together: Platform, sign: Sign) -> None:
    evaluation_id = together.evaluation_id("trees")
    first = sign(ADA, evaluation_id[:12], "--reason", WHY, typed="yes\n")
    assert "signed by ada still: it needs 2 signatures of approvers and has 1" in first.words
    assert f"trainserve sign {evaluation_id[:12]} --key KEY_FILE --add-to LINE" in first.words

    second = sign(BOB, evaluation_id, "--add-to", first.line, typed="yes\n")
    assert f"decided by ada: {WHY}" in second.words
    assert "still:" not in second.words
    result = together.release(signatures=[second.line], reason=WHY)
    assert result.success, failures(result)
    [entry] = together.lake.ledger(together.use_case.name).entries
    assert entry.signers == ("ada", "bob")


def test_the_lines_of_two_people_may_be_pasted_both(together: Platform, sign: Sign) -> None:
    first = sign(ADA, together.evaluation_id("trees"), "--reason", "better", "--yes").line
    second = sign(BOB, together.evaluation_id("trees"), "--add-to", first, "--yes").line
    assert together.release(signatures=[first, second]).success


def test_the_config_that_it_shows_releases_as_it_stands(alone: Platform, sign: Sign) -> None:
    said = sign(ADA, alone.evaluation_id("trees"), "--reason", WHY, "--greatest-share", "0.5", "--yes")
    assert "Paste this into the Launchpad of late_parcel/release:" in said.words
    shown = said.err[said.err.index("ops:") : said.err.index("Or the line alone")]
    result = alone.run(["release"], msgspec.yaml.decode(shown))
    assert result.success, failures(result)
    champion = fold(alone.lake.ledger(alone.use_case.name).entries).champion
    assert champion is not None
    assert (champion.greatest_share, champion.identity) == (0.5, "signed")


def test_an_approver_signs_far_from_the_lake_with_the_evaluations_file(
    alone: Platform, sign: Sign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their machine has approvers.yaml and the file that stands beside the report, and nothing else."""
    evaluation_id = alone.evaluation_id("trees")
    stored = Path(alone.home.lake) / alone.use_case.name / "evaluations" / evaluation_id / "evaluation.json"
    far = Home.at(tmp_path / "laptop")
    far.root.mkdir()
    shutil.copy(stored, far.root)
    shutil.copy(alone.home.approvers, far.approvers)
    monkeypatch.setenv("TRAINSERVE_HOME", str(far.root))

    line = sign(ADA, str(far.root / stored.name), "--reason", "better", typed="yes\n").line
    assert not Path(far.lake).exists()
    assert alone.release(signatures=[line]).success


def test_a_changed_evaluation_is_another_one(alone: Platform, sign: Sign, tmp_path: Path) -> None:
    evaluation_id = alone.evaluation_id("trees")
    stored = Path(alone.home.lake) / alone.use_case.name / "evaluations" / evaluation_id / "evaluation.json"
    changed = tmp_path / "evaluation.json"
    changed.write_bytes(stored.read_bytes() + b" ")
    assert_nothing_signed(sign(ADA, str(changed), "--yes"), "does not verify", "as it stands beside the report")

    changed.write_bytes(stored.read_bytes().replace(b'"looks":3', b'"looks":1'))
    said = sign(ADA, str(changed), "--reason", "better", "--yes")
    assert evaluation_id not in said.words
    assert "evaluation_id is" in alone.refusal(alone.release_config(signatures=[said.line]))


@pytest.mark.parametrize("typed", ["no\n", "\n", "y\n", "YES please\n"])
def test_nothing_is_signed_without_a_yes(alone: Platform, sign: Sign, typed: str) -> None:
    said = sign(ADA, alone.evaluation_id("trees"), "--reason", "better", typed=typed)
    assert_nothing_signed(said, "Sign this decision? Type yes:", "Nothing was signed.")


def test_the_reason_is_asked_for(alone: Platform, sign: Sign) -> None:
    line = sign(ADA, alone.evaluation_id("trees"), typed=f"{WHY}\nyes\n").line
    assert alone.release(signatures=[line], reason=WHY).success
    assert_nothing_signed(sign(ADA, alone.evaluation_id("trees"), typed=" \nyes\n"), "reason is empty. Say why.")


def test_without_a_terminal_it_says_which_options_answer(alone: Platform, sign: Sign) -> None:
    assert_nothing_signed(sign(ADA, alone.evaluation_id("trees")), "a terminal to type it on, or --reason and --yes")


def test_what_is_decided_is_shown_with_what_fails(known: Platform, sign: Sign) -> None:
    put_policy(known.home, policy(ADA.listed(roles=("shadow",)), BOB, roles={"champion": 1}))
    evaluation_id = known.evaluation_id("line")
    said = sign(ADA, evaluation_id, "--reason", "better", "--expires-at", "2100-01-01T00:00:00Z", "--yes")
    assert f"package {known.decision(candidate='line').package_digest} evaluation {evaluation_id}" in said.words
    assert "as champion on arm champion, at most 100% of the requests" in said.words
    assert "until 2100" not in said.words  # a release of this tier lasts for a year
    assert f"until {(now_utc() + timedelta(days=365)):%Y-%m-%d}" in said.words
    assert "'ada' may not decide on a champion of 'late_parcel'" in said.words


def test_a_gate_is_waived_by_name_with_a_term(known: Platform, sign: Sign) -> None:
    put_policy(known.home, policy(ADA))
    gate = "better_than_the_base_rate"
    until = rfc3339(now_utc() + timedelta(days=9))
    given = (known.evaluation_id("trees"), "--reason", "better", "--yes", "--waive", f"{gate}=spring only")
    assert_nothing_signed(sign(ADA, *given), "--waive is", "GATE=REASON, together with --expires-at")
    said = sign(ADA, *given, "--expires-at", until)
    assert f"waives {gate} until {until}: spring only" in said.words
    why = known.refusal(known.release_config(signatures=[said.line]))
    assert f"{gate} passes and needs no waiver" in why


@pytest.mark.parametrize("decision", ["reject", "revoke", "roll back"])
def test_in_an_incident_a_decision_is_signed_too(together: Platform, sign: Sign, decision: str) -> None:
    evaluation_id = together.evaluation_id("trees")
    assert together.release(ADA, BOB).success
    line = sign(BOB, evaluation_id, "--decision", decision, "--reason", "complaints", "--yes").line
    result = together.release(signatures=[line], decision=decision, approver="bob", reason="complaints")
    assert result.success, failures(result)
    newest = together.lake.ledger(together.use_case.name).entries[-1]
    assert (newest.decision.decision, newest.signers) == (decision, ("bob",))


@pytest.mark.parametrize("decision", ["revoke", "roll back"])
def test_what_was_never_released_is_not_taken_back(alone: Platform, sign: Sign, decision: str) -> None:
    said = sign(ADA, alone.evaluation_id("trees"), "--decision", decision, "--reason", "complaints", "--yes")
    assert_nothing_signed(said, "was never approved")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("0" * 64, "There is no evaluation"),
        ("0" * 12, "There is no evaluation"),
        ("abc", "or at least the first 8 characters of it"),
        ("", "or at least the first 8 characters of it"),
    ],
)
def test_an_evaluation_that_is_not_there_is_named(alone: Platform, sign: Sign, named: str, words: str) -> None:
    assert_nothing_signed(sign(ADA, named, "--yes"), words)
    assert alone.lake.ledger(alone.use_case.name).entries == []


def test_a_line_about_another_evaluation_is_not_added_to(together: Platform, sign: Sign) -> None:
    line = sign(ADA, together.evaluation_id("trees"), "--reason", "better", "--yes").line
    other = together.evaluation_id("boosting")
    assert_nothing_signed(sign(BOB, other, "--add-to", line, "--yes"), f"a line about evaluation {other[:12]}")
    assert_nothing_signed(sign(BOB, other, "--add-to", line[:-9], "--yes"), "Copy the whole line and paste it again.")


def test_a_wrong_passphrase_opens_no_key(alone: Platform, sign: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINSERVE_PASSPHRASE", "guessed")
    said = sign(ADA, alone.evaluation_id("trees"), "--yes")
    assert_nothing_signed(said, "and the passphrase it was made with")


def test_a_key_that_others_can_read_is_not_used(alone: Platform, sign: Sign, tmp_path: Path) -> None:
    ADA.key_file(tmp_path).chmod(0o644)
    assert_nothing_signed(sign(ADA, alone.evaluation_id("trees"), "--yes"), "0o600: nobody but its owner may read it")


def test_a_key_that_the_policy_does_not_name_signs_nothing(alone: Platform, sign: Sign) -> None:
    said = sign(EVE, alone.evaluation_id("trees"), "--yes")
    assert_nothing_signed(said, EVE.key.public.keyid[:12], f"a key of {alone.home.approvers} that counts today")


def test_who_trained_is_told_that_they_cannot_approve_alone(known: Platform, sign: Sign) -> None:
    """The trainer of these candidates is whoever no identity proxy names."""
    put_policy(known.home, policy(ADA.listed(logins=("dagster",)), BOB, roles={"champion": 1}))
    said = sign(ADA, known.evaluation_id("trees"), "--reason", "better", "--yes")
    assert "'dagster' trained this candidate and cannot approve it alone" in said.words


def test_it_launches_the_release_in_dagit(alone: Platform, sign: Sign) -> None:
    evaluation_id = alone.evaluation_id("trees")
    away = sign(ADA, evaluation_id, "--reason", WHY, "--yes", "--launch", "http://127.0.0.1:9")
    assert_nothing_signed(away, "Dagit at http://127.0.0.1:9 is not available", "Paste the line into the Launchpad")
    no_address = sign(ADA, evaluation_id, "--reason", WHY, "--yes", "--launch", "dagit")
    assert_nothing_signed(no_address, "--launch is 'dagit', expected the address of Dagit, as http://127.0.0.1:3000")

    prepare_dagster_home(alone.home)
    with dagit_on(alone.home) as dagit:
        said = sign(ADA, evaluation_id, "--reason", WHY, "--yes", "--launch", dagit)
        assert f"Launched: {dagit}/runs/" in said.words
        wait_for(lambda: bool(alone.ledger_files()), "the event", RECORDED_WITHIN_S)
    [entry] = alone.lake.ledger(alone.use_case.name).entries
    assert (entry.decision.reason, entry.signers, entry.event.identity) == (WHY, ("ada",), "signed")
    assert said.line
