"""The evidence of a request proves its answer, on any machine that has the public keys; and nothing that was changed."""

import re
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from deltalake import write_deltalake

from lake.commands.prove import prove
from lake.delta import Table
from lake.documents import canonical
from lake.errors import NotFound, SettingError, VerificationError
from lake.evaluation import Estimate, Evaluation, append_evaluation
from lake.home import Home
from lake.log.claims import Judge
from lake.log.evidence import Evidence, gather
from lake.log.log_key import read_trusted_log
from lake.log.shipper import Shipper
from lake.parameters import publish_parameters
from lake.release.trust import Trust
from lake.tables import COMMITS, LOG, PREDICTIONS
from serving.app import create_app
from tests.damage import DAMAGES, Damage, damaged
from tests.proxied import parameters, proxied
from tests.scenario import USE_CASE, parcel, records_body
from tests.served import PREDICT, Approver, listening, toy, varied

UNKNOWN = "00000000-0000-7000-8000-000000000000"


class Answered(msgspec.Struct, frozen=True):
    """A home in which requests were answered and shipped: of one row, of five, and one that was refused."""

    home: Home
    one: str
    five: str
    refused: str


def evaluation_of(package: str) -> Evaluation:
    """The evidence on which the package is released."""
    return Evaluation(
        use_case=USE_CASE,
        candidate="small_trees",
        task="binary",
        package_digest=package,
        model_version="late_parcel 0.1.0",
        engine="catboost",
        dataset_version=1,
        dataset_digest="d" * 64,
        split={"train": "2013"},
        trainer="grace",
        release_standard_digest="5" * 64,
        looks=1,
        estimates=(Estimate(metric="auc", value=0.75, n=1_000),),
    )


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    """Answers by a released model, under parameters that an operator stored."""
    home = Home.at(tmp_path_factory.mktemp("prove") / "home")
    approver = Approver(home)
    package = approver.seal(toy(1))
    evaluation = evaluation_of(package)
    append_evaluation(home.lake, evaluation, datetime.now(timezone.utc))
    approver.decide("approve", package, evaluation_id=evaluation.evaluation_id)
    with listening(create_app(home, USE_CASE, "champion")) as url:
        stored = parameters({"champion": url}, changed_by="olga", changed_at_utc="2026-01-01T00:00:00Z", why="first")
        publish_parameters(approver.store, stored, 0)
        with proxied(home, parameters({"champion": url})) as client:
            bodies = (records_body(parcel()), records_body(*varied(5)), b"{")
            ids = [client.post(PREDICT, content=body).headers["trainserve-request-id"] for body in bodies]
    Shipper(home).ship()
    return Answered(home, *ids)


def keys_only(home: Home, folder: Path) -> Home:
    """Another machine: no lake, no spool, no private key."""
    other = Home.at(folder / "other")
    for name in ("trusted", "trusted_log"):
        shutil.copytree(home.keys / name, other.keys / name)
    return other


def at(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands use this home."""
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)


def claims(home: Home, evidence: Evidence) -> dict[str, tuple[bool | None, str]]:
    """What holds of the evidence for who has the keys of this home."""
    judged = Judge(evidence, read_trusted_log(home.keys), Trust.read(home)).claims()
    return {claim.about: (claim.holds, claim.found) for claim in judged}


def test_every_claim_about_an_answer_holds_on_a_machine_with_the_public_keys_alone(answered: Answered, tmp_path: Path) -> None:
    judged = claims(keys_only(answered.home, tmp_path), gather(answered.home, answered.five))

    assert {about: holds for about, (holds, _) in judged.items()} == dict.fromkeys(
        ("The log", "The routing", "The parameters", "The release", "The evaluation", "The package", "The scores", "The answer"),
        True,
    )
    found = " ".join(words for _, words in judged.values())
    for words in (
        "5 rows are to the byte what commit 2 of slot ",
        "Routed by version 1 of the parameters, rule 'champion', to arm 'champion'.",
        "Version 1, by olga at 2026-01-01T00:00:00Z, 'first': signed by nobody, as it changes what no answer means.",
        "Event 1 of the ledger made late_parcel 1.0.0 live as champion on arm 'champion' at ",
        "a decision to approve by ada, which is claimed, launched by ada. Reason: better on every slice",
        "trained by grace: auc 0.75 (n=1,000).",
        "Computed again from the row and the package, 5 of 5 rows gave the same bits.",
        "Row 4: no rule fires, and [0.",
    ):
        assert words in found


def test_a_refused_request_is_proven_as_far_as_there_is_something_to_prove(answered: Answered) -> None:
    judged = claims(answered.home, gather(answered.home, answered.refused))

    assert judged["The log"][0] is True
    assert judged["The parameters"][0] is True
    assert {holds for about, (holds, _) in judged.items() if about not in ("The log", "The parameters")} == {None}
    assert judged["The release"][1] == "No model answered: the request was refused, with status 400."


def test_the_page_and_the_file_are_written_and_the_file_is_checked_elsewhere(
    answered: Answered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at(answered.home, monkeypatch)
    assert prove(answered.one, out=tmp_path / "out") == 0
    page, file = (tmp_path / "out" / f"{answered.one}.{suffix}" for suffix in ("html", "json"))
    text = page.read_text()
    assert text.count('class="holds">holds<') == 8
    assert "features: weight_kg</th><td><code>12.5<" in text
    assert not re.findall(r"(?:src|href|url)\s*[=(]", text), "the page fetches nothing"
    assert "none: it stands alone in its commit, and its leaf is the root" in text

    at(keys_only(answered.home, tmp_path), monkeypatch)
    capsys.readouterr()
    assert prove(check=file) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"request {answered.one} of {USE_CASE}"
    assert len(said) == 9
    assert all(line.startswith("holds ") for line in said[1:])


def changed(evidence: Evidence, path: str, data: bytes) -> Evidence:
    """The evidence with another document in it."""
    return msgspec.structs.replace(evidence, documents={**evidence.documents, path: data})


def test_evidence_in_which_anything_was_changed_does_not_hold(answered: Answered) -> None:
    evidence = gather(answered.home, answered.one)
    paths = {path.split("/")[1]: path for path in evidence.documents}
    model = next(path for path in evidence.documents if path.endswith(".cbm"))
    event = evidence.documents[paths["releases"]]

    for about, forged in (
        ("The package", changed(evidence, model, evidence.documents[model] + b"x")),
        ("The evaluation", changed(evidence, paths["evaluations"], canonical(evaluation_of("f" * 64)))),
        ("The release", changed(evidence, paths["releases"], event.replace(b'"sig":"', b'"sig":"A'))),
        ("The routing", changed(evidence, paths["parameters"], evidence.documents[paths["parameters"]].replace(b"1", b"2"))),
        ("The log", msgspec.structs.replace(evidence, request_id=answered.five)),
        ("The log", msgspec.structs.replace(evidence, proofs=gather(answered.home, answered.five).proofs)),
        ("The log", msgspec.structs.replace(evidence, proofs=())),
    ):
        assert claims(answered.home, evidence)[about][0] is True
        assert claims(answered.home, forged)[about][0] is False, about


def test_who_trusts_no_key_of_the_log_is_told_so_and_told_nothing_else(answered: Answered, tmp_path: Path) -> None:
    other = keys_only(answered.home, tmp_path)
    shutil.rmtree(other.keys / "trusted_log")

    judged = claims(other, gather(answered.home, answered.one))

    assert list(judged) == ["The log"]
    assert judged["The log"][0] is False
    assert "one of the 0 trusted: copy keys/trusted_log/" in judged["The log"][1]


def test_a_row_that_was_edited_has_no_evidence(answered: Answered, tmp_path: Path) -> None:
    home = Home.at(tmp_path / "edited")
    shutil.copytree(answered.home.root, home.root)
    table = Table(home.lake, USE_CASE, PREDICTIONS)
    edited: Any = table.scan().with_columns(answer=pl.lit([0.5])).collect()
    write_deltalake(table.open(), edited, mode="overwrite")

    with pytest.raises(VerificationError, match=r"the row of record 1 of slot .* another one, expected what commit 1 "):
        gather(home, answered.one)


def test_a_request_that_nobody_made_is_not_found(answered: Answered, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="There is no logged request '00000000-0000-7000-8000-000000000000'"):
        gather(answered.home, UNKNOWN)
    at(answered.home, monkeypatch)
    with pytest.raises(SettingError, match="either the id of a request, or --check and a file"):
        prove()


@pytest.mark.parametrize(("use_case", "name"), [(USE_CASE, PREDICTIONS), (LOG, COMMITS)])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_the_log_is_named_with_what_to_do(
    answered: Answered, tmp_path: Path, use_case: str, name: str, damage: Damage
) -> None:
    shutil.copytree(answered.home.root, tmp_path / "copy")
    home = Home.at(tmp_path / "copy")
    table = Table(home.lake, use_case, name)
    file = damaged(table, damage)

    with pytest.raises(VerificationError) as raised:
        gather(home, answered.one)

    said = str(raised.value)
    assert said.startswith(
        f"{use_case}/{name}, version {table.version()}, does not verify: found the data file {file.name}, which"
    )
    assert said.endswith(f"expected the bytes that were written. Put back {file} from a copy")
    assert "\n" not in said
