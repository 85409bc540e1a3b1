"""The evaluation documents: the same for the same candidates, compared on the same rows, and what an approver reads of them."""

import re
from io import StringIO

import dagster as dg
import msgspec
import numpy as np
import pytest
from rich.console import Console

from lake.errors import NotFound, SettingError, VerificationError
from lake.evaluation import Evaluation, read_evaluation
from lake.home import Home
from lake.package import open_package
from lake.release.policy import BUILT_IN
from lake.tables import DATASET
from tests.approvers import ADA, policy
from tests.parcel_training import Platform, failures, parcel_use_case
from trainserve_assets.approval.draft import Request
from trainserve_assets.evidence import judge
from trainserve_assets.evidence.holdout import read_holdout, score
from trainserve_assets.metrics import measure
from trainserve_assets.report import evaluation_page, evaluation_summary, release_block
from trainserve_assets.training import read_note


def evaluations(platform: Platform) -> dict[str, Evaluation]:
    return {one.candidate.name: one.evaluation for one in judge(platform.lake, platform.use_case)}


def test_judging_again_gives_the_same_documents(platform: Platform) -> None:
    first, second = evaluations(platform), evaluations(platform)
    assert {name: one.evaluation_id for name, one in first.items()} == {name: one.evaluation_id for name, one in second.items()}
    assert first["trees"].evaluation_id == platform.evaluation_id("trees")


def test_figures_are_those_of_the_packages_own_answers_on_the_holdout(platform: Platform) -> None:
    from sklearn.metrics import roc_auc_score

    holdout = platform.lake.table(platform.use_case.name, DATASET).scan().filter(split="holdout").collect()
    digest = read_note(platform.lake.store, platform.use_case.name, "boosting").package_digest
    package = open_package(platform.lake.store, platform.use_case.name, digest)
    scores = score(package.as_named(), package.manifest.features, holdout)
    found = evaluations(platform)["boosting"].find("auc")
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(holdout["label"].to_numpy(), scores[:, 0]))
    assert found.n == holdout.height


def test_slices_share_the_holdout_among_them(platform: Platform) -> None:
    document = evaluations(platform)["trees"]
    whole = document.find("log_loss")
    by = {
        field: [one for one in document.estimates if one.metric == "log_loss" and one.slice.startswith(f"{field}=")]
        for field in ("depot", "month")
    }
    assert {one.slice for one in by["depot"]} == {"depot=harbour", "depot=north", "depot=south"}
    assert {one.slice for one in by["month"]} == {"month=2013-05", "month=2013-06"}
    assert whole is not None
    for slices in by.values():
        assert sum(one.n for one in slices) == whole.n
        assert sum(one.n * one.value for one in slices) / whole.n == pytest.approx(whole.value)


def test_the_base_rate_is_that_of_training_and_not_of_the_holdout(platform: Platform) -> None:
    dataset = platform.lake.table(platform.use_case.name, DATASET)
    trained_on = dataset.scan().filter(split="train").collect()["label"]
    holdout = read_holdout(dataset, platform.use_case)
    assert holdout.base.tolist() == [trained_on.mean()]

    constant = holdout.sample(np.full((holdout.labels.size, 1), trained_on.mean()))
    document = evaluations(platform)["line"]
    [against] = [one for one in document.differences if (one.metric, one.other, one.slice) == ("log_loss", "base rate", "all")]
    whole = document.find("log_loss")
    assert whole is not None
    assert against.value == pytest.approx(whole.value - measure("binary", constant)["log_loss"].value)


def test_the_baseline_differs_from_itself_by_nothing(platform: Platform) -> None:
    differences = [one for one in evaluations(platform)["line"].differences if one.other == "baseline"]
    assert {(one.value, one.low, one.high) for one in differences} == {(0.0, 0.0, 0.0)}


def test_the_live_champion_is_scored_on_the_same_rows(platform: Platform) -> None:
    assert platform.release(candidate="boosting").success
    found = evaluations(platform)
    champion = read_note(platform.lake.store, platform.use_case.name, "boosting").package_digest
    for name, document in found.items():
        [against] = [one for one in document.differences if (one.metric, one.other, one.slice) == ("auc", "champion", "all")]
        assert against.other_name == champion
        mine, its = document.find("auc"), found["boosting"].find("auc")
        assert mine is not None
        assert its is not None
        assert against.value == pytest.approx(mine.value - its.value), name


def test_a_challenger_is_not_what_candidates_are_compared_with(platform: Platform) -> None:
    assert platform.release(role="challenger", arm="challenger").success
    assert {one.other for one in evaluations(platform)["line"].differences} == {"base rate", "baseline"}


def test_every_package_that_looked_at_the_holdout_is_counted_once(platform: Platform) -> None:
    assert {one.looks for one in evaluations(platform).values()} == {3}
    candidates = [
        msgspec.structs.replace(one, seed=99) if one.name == "boosting" else one for one in platform.use_case.candidates
    ]
    again = Platform(platform.home, platform.instance, parcel_use_case(candidates=tuple(candidates)))
    result = again.run(["candidate_boosting"])
    assert result.success, failures(result)
    assert {one.looks for one in evaluations(again).values()} == {4}


def test_a_candidate_of_another_split_is_not_judged(platform: Platform) -> None:
    split = msgspec.structs.replace(platform.use_case.split, holdout_from="2013-05-21", version=2)
    changed = Platform(platform.home, platform.instance, parcel_use_case(split=split))
    assert changed.run([DATASET]).success
    with pytest.raises(SettingError, match=r"split of candidate 'trees'.*materialize the candidate again"):
        judge(changed.lake, changed.use_case)


def test_a_candidate_that_was_not_trained_is_named(home: Home, instance: dg.DagsterInstance) -> None:
    platform = Platform(home, instance)
    assert platform.run([DATASET, "candidate_trees"]).success
    with pytest.raises(NotFound, match="Materialize late_parcel/candidate_boosting"):
        judge(platform.lake, platform.use_case)


def test_a_holdout_that_the_dataset_does_not_reach_is_named(platform: Platform) -> None:
    split = msgspec.structs.replace(platform.use_case.split, holdout_from="2014-01-01", holdout_until="2014-02-01")
    changed = Platform(platform.home, platform.instance, parcel_use_case(split=split))
    table = changed.lake.table(changed.use_case.name, DATASET)
    rows = table.scan().filter(split="train").collect()
    table.replace(rows, "only training")
    with pytest.raises(VerificationError, match="found rows in holdout: is 0, expected at least 100"):
        judge(changed.lake, changed.use_case)


def test_the_block_to_paste_lacks_just_what_only_a_person_can_say(platform: Platform) -> None:
    document = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    pasted = msgspec.yaml.decode(release_block(platform.use_case, document, BUILT_IN.policy))
    config = pasted["ops"]["late_parcel__release"]["config"]
    assert set(config) == {field.name for field in msgspec.structs.fields(Request) if field.required}
    assert [name for name, value in config.items() if value is None] == ["approver", "reason"]
    config |= {"approver": "ada", "reason": "it ranks better"}
    result = platform.run(["release"], pasted)
    assert result.success, failures(result)


def test_the_block_says_what_else_a_release_may_carry(platform: Platform) -> None:
    """With its comments taken off it is a config of the release asset."""
    document = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    block = re.sub(r"(?m)^( *)# ", r"\1", release_block(platform.use_case, document, policy(ADA, roles={"champion": 1})))
    config = msgspec.yaml.decode(block)["ops"]["late_parcel__release"]["config"]
    assert set(config) == {field.name for field in msgspec.structs.fields(Request)}
    assert [one["gate"] for one in config["waivers"]] == ["NAME"]


def test_the_block_as_it_is_pasted_is_refused_by_dagster(platform: Platform) -> None:
    document = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    with pytest.raises(dg.DagsterInvalidConfigError, match="approver"):
        platform.run(["release"], msgspec.yaml.decode(release_block(platform.use_case, document, BUILT_IN.policy)))


def test_an_approver_reads_figures_comparisons_and_gates(platform: Platform) -> None:
    documents = list(evaluations(platform).values())
    console = Console(width=200, file=StringIO())
    console.print(evaluation_summary(platform.use_case, documents))
    page = evaluation_page(platform.use_case, documents, ["![picture](data:image/svg+xml;base64,PHN2Zy8+)"])
    auc = documents[0].find("auc")
    assert auc is not None
    assert auc.low is not None
    assert isinstance(console.file, StringIO)
    for text in (" ".join(console.file.getvalue().split()), page):
        assert f"{auc.value:.4f} [{auc.low:.4f}" in text
        assert "better_than_the_base_rate" in text
        assert "there is no champion yet" in text
        assert "3 packages have been judged on it" in text
    assert "![picture]" in page
    assert "depot=harbour" in page


def test_a_terminal_of_80_columns_cuts_no_word_of_it_off(platform: Platform) -> None:
    documents = list(evaluations(platform).values())
    console = Console(width=80, file=StringIO())
    console.print(evaluation_summary(platform.use_case, documents))

    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "…" not in shown
    for gate in platform.use_case.release_standard:
        assert shown.count(f"{gate.name}: ") + shown.count(f"{gate.name} (advisory): ") == len(documents)


def test_gates_warn_and_stop_nothing(platform: Platform) -> None:
    gates = platform.use_case.release_standard
    impossible = msgspec.structs.replace(gates[0], name="perfect", limit=-9.0)
    strict = Platform(platform.home, platform.instance, parcel_use_case(release_standard=(*gates, impossible)))
    result = strict.run(["evaluation"])
    assert result.success, failures(result)
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name: one.passed for name, one in checks.items()} == {
        "better_than_the_base_rate": True,
        "no_worse_than_the_champion": True,
        "perfect": False,
        "a_candidate_meets_the_release_standard": False,
    }
    assert checks["perfect"].severity == dg.AssetCheckSeverity.WARN
    assert "trees FAILS: log_loss against the base rate is" in str(checks["perfect"].description)
    remedies = {name: checks[name].metadata["remedy"].value for name in ("perfect", "a_candidate_meets_the_release_standard")}
    assert set(remedies.values()) == {"retrain"}


def test_a_gate_asks_for_nothing_while_some_candidate_may_be_released(platform: Platform) -> None:
    gates = platform.use_case.release_standard
    advice = msgspec.structs.replace(gates[0], name="perfect", limit=-9.0, blocking=False)
    strict = Platform(platform.home, platform.instance, parcel_use_case(release_standard=(*gates, advice)))
    checks = {one.check_name: one for one in strict.run(["evaluation"]).get_asset_check_evaluations()}

    assert checks["a_candidate_meets_the_release_standard"].passed
    assert "remedy" not in checks["a_candidate_meets_the_release_standard"].metadata
    assert not checks["perfect"].passed
    assert checks["perfect"].metadata["remedy"].value == "nothing"
