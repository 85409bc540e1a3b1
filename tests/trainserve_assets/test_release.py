"""The release asset: what it records, and each thing that it refuses with one sentence."""

import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from checks.release_standard import Gate
from lake.errors import Conflict
from lake.evaluation import read_evaluation
from lake.fixed_schemas import EVALUATION_SCHEMA
from lake.release.ledger import Entry, Ledger
from lake.release.live import Live, fold
from tests.parcel_training import Platform, failures, parcel_use_case
from trainserve_assets.approval.draft import Request
from trainserve_assets.approval.record import Launch, record
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import USER_TAG


def entries(platform: Platform) -> list[Entry]:
    return platform.lake.ledger(platform.use_case.name).entries


def live(platform: Platform) -> Live:
    return fold(entries(platform))


def refused(platform: Platform, *words: str, **changes: Any) -> None:
    """This launch fails, saying all of these words, and records nothing."""
    why = platform.refusal(platform.release_config(**changes))
    for word in words:
        assert word in why


def with_gate(platform: Platform, gate: Gate) -> Platform:
    """The platform after its standard got another gate and its candidates were evaluated again."""
    changed = parcel_use_case(release_standard=(*platform.use_case.release_standard, gate))
    stricter = Platform(platform.home, platform.instance, changed)
    assert stricter.run(["evaluation"]).success
    return stricter


def test_an_approval_makes_the_package_live(platform: Platform) -> None:
    result = platform.release()
    assert result.success, failures(result)
    champion = live(platform).champion
    assert champion is not None
    assert (champion.arm, champion.approver, champion.identity) == ("champion", "ada", "claimed")
    evaluation = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    assert champion.package_digest == evaluation.package_digest
    [materialized] = result.get_asset_materialization_events()
    metadata = materialized.materialization.metadata
    assert metadata["seq"].value == 1
    assert metadata["model_version"].value == "trees 1.1.0-0.1"
    table = metadata["live"].value
    assert isinstance(table, dg.TableMetadataValue)
    assert table.records[0].data["package"] == champion.package_digest[:12]


def test_each_approval_gets_the_next_number(platform: Platform) -> None:
    assert platform.release().success
    assert platform.release(candidate="boosting", role="challenger", arm="challenger").success
    assert {arm: one.model_version for arm, one in live(platform).releases.items()} == {
        "champion": "trees 1.1.0-0.1",
        "challenger": "boosting 2.1.0-0.1",
    }


def test_a_rejection_is_recorded_and_does_not_paint_the_asset(platform: Platform) -> None:
    result = platform.release(decision="reject", reason="not convincing")
    assert result.success, failures(result)
    assert [entry.decision.decision for entry in entries(platform)] == ["reject"]
    assert live(platform).releases == {}
    assert not result.get_asset_materialization_events()
    [observed] = result.get_asset_observation_events()
    assert observed.asset_observation_data.asset_observation.description == "Rejected."


def test_a_revoked_package_leaves_every_arm(platform: Platform) -> None:
    assert platform.release().success
    assert platform.release(role="shadow", arm="shadow").success
    assert platform.release(decision="revoke", reason="wrong for parcels of the harbour").success
    assert live(platform).releases == {}


def test_a_revocation_works_when_package_and_evaluation_are_gone(platform: Platform) -> None:
    config = platform.release_config(decision="revoke", reason="everything is on fire")
    assert platform.release().success
    folder = Path(platform.home.lake) / platform.use_case.name
    shutil.rmtree(folder / "packages")
    shutil.rmtree(folder / "evaluation")
    result = platform.run(["release"], config)
    assert result.success, failures(result)
    assert live(platform).releases == {}


def test_a_roll_back_returns_to_what_the_arm_served_before(platform: Platform) -> None:
    assert platform.release().success
    first = platform.evaluation_id("trees")
    assert platform.run(["evaluation"]).success
    assert platform.release(candidate="boosting").success
    result = platform.release(decision="roll back", evaluation_id=first, reason="complaints")
    assert result.success, failures(result)
    champion = live(platform).champion
    assert champion is not None
    assert (champion.evaluation_id, champion.model_version) == (first, "trees 1.1.0-0.1")


def test_what_is_live_already_is_not_recorded_again(platform: Platform) -> None:
    assert platform.release().success
    result = platform.release()
    assert result.success, failures(result)
    assert len(entries(platform)) == 1
    assert not result.get_asset_materialization_events()


def test_an_evaluation_that_does_not_exist_is_refused(platform: Platform) -> None:
    refused(platform, "There is no evaluation", "late_parcel/evaluation", evaluation_id="0" * 64)


def test_an_evaluation_whose_row_was_changed_is_refused(platform: Platform) -> None:
    evaluation_id = platform.evaluation_id("line")
    table = platform.lake.table(platform.use_case.name, "evaluation")
    rows = table.scan().collect()
    forged = [document.replace('"line"', '"trees"') for document in rows["document"]]
    table.replace(rows.with_columns(document=rows["document"].scatter(range(rows.height), forged)), "forged")
    assert table.scan().collect().schema == EVALUATION_SCHEMA
    refused(platform, "does not verify", evaluation_id, evaluation_id=evaluation_id)


def test_an_evaluation_that_is_not_the_newest_of_its_package_is_refused(platform: Platform) -> None:
    first = platform.evaluation_id("trees")
    assert platform.release(candidate="boosting").success
    assert platform.run(["evaluation"]).success
    refused(platform, "is not the newest of its package", "Materialize late_parcel/evaluation", evaluation_id=first)


def test_a_champion_must_have_been_compared_with_the_champion_of_this_moment(platform: Platform) -> None:
    assert platform.release(candidate="boosting").success
    refused(platform, "does not compare with the champion that is live now")
    assert platform.release(role="challenger", arm="challenger").success


def test_a_changed_release_standard_asks_for_a_new_evaluation(platform: Platform) -> None:
    laxer = Platform(platform.home, platform.instance, parcel_use_case(release_standard=()))
    refused(laxer, "the release standard has changed since this evaluation")


def test_a_package_with_a_changed_byte_is_refused(platform: Platform) -> None:
    evaluation = read_evaluation(platform.home.lake, platform.use_case.name, platform.evaluation_id("trees"))
    model = Path(platform.home.lake) / platform.use_case.name / "packages" / evaluation.package_digest / "model.cbm"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    refused(platform, "does not verify", evaluation.package_digest)


def test_a_failed_blocking_gate_is_refused_with_its_figures(platform: Platform) -> None:
    strict = with_gate(platform, Gate(name="nearly_perfect", metric="auc", must_be="at least", limit=0.999))
    refused(strict, "nearly_perfect: auc is", "must be at least 0.999", "reject this one")


def test_a_failed_advisory_gate_does_not_stop_a_release(platform: Platform) -> None:
    gate = Gate(name="nearly_perfect", metric="auc", must_be="at least", limit=0.999, blocking=False)
    advised = with_gate(platform, gate)
    assert advised.release().success


def test_gates_are_decided_on_the_document_and_not_on_dagsters_events(platform: Platform) -> None:
    strict = with_gate(platform, Gate(name="nearly_perfect", metric="auc", must_be="at least", limit=0.999))
    for name in ("nearly_perfect", "a_candidate_meets_the_release_standard"):
        forged = dg.AssetCheckEvaluation(asset_key=strict.key("evaluation"), check_name=name, passed=True, metadata={})
        strict.instance.report_runless_asset_event(forged)
    refused(strict, "nearly_perfect")


def test_nobody_approves_what_they_trained(platform: Platform) -> None:
    trained = platform.run(["candidate_trees"], tags={USER_TAG: "Ada"})
    assert trained.success, failures(trained)
    assert platform.run(["evaluation"]).success
    refused(platform, "trained this candidate and cannot approve it alone: ask somebody else", approver="ada ")
    assert platform.release(approver="bo").success


@pytest.mark.parametrize("missing", ["approver", "reason"])
def test_an_empty_approver_or_reason_is_refused(platform: Platform, missing: str) -> None:
    refused(platform, f"{missing} is empty", **{missing: "  "})


@pytest.mark.parametrize("arm", ["", "Champion", "a/b", "x" * 41, "1st"])
def test_an_arm_that_cannot_stand_in_an_address_is_refused(platform: Platform, arm: str) -> None:
    refused(platform, "is not a name", arm=arm)


def test_the_champions_arm_is_not_given_to_another_role(platform: Platform) -> None:
    assert platform.release().success
    refused(platform, "serves the champion", "Choose another arm", candidate="boosting", role="challenger")


def test_a_roll_back_to_what_was_never_approved_here_is_refused(platform: Platform) -> None:
    assert platform.release().success
    refused(platform, "was never approved as champion", decision="roll back", candidate="boosting")
    refused(platform, "was never approved as champion on arm 'other'", decision="roll back", arm="other")


def test_a_roll_back_to_what_was_revoked_is_refused(platform: Platform) -> None:
    assert platform.release().success
    assert platform.release(decision="revoke").success
    refused(platform, "was revoked", decision="roll back")


def test_only_what_was_approved_can_be_revoked(platform: Platform) -> None:
    refused(platform, "was never approved", "reject it", decision="revoke")


def test_a_decision_verified_against_an_older_ledger_is_not_recorded(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another approver is faster by the time between reading the ledger and writing to it."""
    read = LakeResource.ledger

    def overtaken(lake: LakeResource, use_case: str) -> Ledger:
        ledger = read(lake, use_case)
        monkeypatch.setattr(LakeResource, "ledger", read)
        assert platform.release(candidate="boosting", approver="bo").success
        return ledger

    monkeypatch.setattr(LakeResource, "ledger", overtaken)
    request = Request(
        evaluation_id=platform.evaluation_id("trees"),
        decision="approve",
        role="champion",
        arm="champion",
        approver="ada",
        reason="better",
    )
    with pytest.raises(Conflict):
        record(platform.lake, platform.use_case, request, Launch(tags={}, alone=True), datetime.now(timezone.utc))
    assert [entry.decision.approver for entry in entries(platform)] == ["bo"]


def test_the_launcher_is_who_the_run_says(platform: Platform) -> None:
    assert platform.run(["release"], platform.release_config(), {USER_TAG: "grace"}).success
    assert [entry.event.launcher for entry in entries(platform)] == ["grace"]


def test_a_document_that_is_the_newest_again_may_be_released(platform: Platform) -> None:
    """The champion's coming and going leads back to a document that was there before."""
    name = platform.use_case.name
    first = read_evaluation(platform.home.lake, name, platform.evaluation_id("trees"))
    assert platform.release(candidate="boosting").success
    assert platform.run(["evaluation"]).success
    assert platform.evaluation_id("trees") != first.evaluation_id
    assert platform.release(candidate="boosting", decision="revoke").success
    assert platform.run(["evaluation"]).success
    assert platform.evaluation_id("trees") == first.evaluation_id
    assert platform.release().success
