"""The claims that answers are calibrated, and beat the base rate, in every slice, as Dagit shows them."""

import dagster as dg
import polars as pl
import pytest

from lake.home import Home
from tests.parcel_log import PER_DAY, answers, append_log, fortnight, labels_of, two_arms, write_history, write_releases
from tests.parcel_training import Platform, failures, parcel_use_case
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import PARTS

CLAIM, SKILL = "calibrated_in_every_slice", "base_rate_beaten_in_every_slice"
HARBOUR = pl.col("depot") == "harbour"


@pytest.fixture
def use_case() -> UseCase:
    return parcel_use_case(slices=("depot", "carrier"))


@pytest.fixture
def watched(home: Home, instance: dg.DagsterInstance, use_case: UseCase) -> Platform:
    """A platform with history, two live releases, and no log yet."""
    write_history(home.lake, days=60, per_day=PER_DAY)
    write_releases(home)
    return Platform(home, instance, use_case)


def said(platform: Platform) -> dict[str, dg.AssetCheckEvaluation]:
    result = platform.run(["windows"])
    assert result.success, failures(result)
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def parts(evaluation: dg.AssetCheckEvaluation) -> dict[str, bool]:
    """Which slices pass."""
    shown = evaluation.metadata[PARTS]
    assert isinstance(shown, dg.TableMetadataValue)
    return {str(one.data["about"]): bool(one.data["passed"]) for one in shown.records}


def test_answers_that_are_wrong_in_one_slice_of_one_arm_are_one_finding_that_names_it_and_its_parts(watched: Platform) -> None:
    sent = fortnight()
    wrong = pl.when(HARBOUR).then(pl.col("probability") * 0.3).otherwise("probability")
    append_log(watched.home.lake, two_arms(sent, pl.col("probability"), scores=pl.concat_list(wrong)), labels_of(sent))

    found = said(watched)[CLAIM]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert (found.description or "").count("an error once it has stood for 28 days") == 1
    assert (found.description or "").startswith("champion: depot=harbour: since 2013-07-0")
    assert "more happens than is predicted: predicted over observed is 0.2" in (found.description or "")
    assert found.metadata["remedy"].value == "recalibrate"
    shown = parts(found)
    assert {"carrier=bike", "carrier=null", "carrier=van", "depot=north", "depot=south"} == shown.keys() - {"depot=harbour"}
    assert [name for name, passed in shown.items() if not passed] == ["depot=harbour"]
    assert next(iter(shown)) == "depot=harbour", "what failed stands first"
    assert "data:image/svg+xml" in str(found.metadata["picture"].value)


def test_answers_that_are_worse_than_none_in_one_slice_are_one_finding_that_names_it_its_remedy_and_its_parts(
    watched: Platform,
) -> None:
    sent = fortnight()
    wrong = pl.when(HARBOUR).then(0.95 - 0.9 * pl.col("label")).otherwise("probability")
    append_log(watched.home.lake, answers(sent, scores=pl.concat_list(wrong)), labels_of(sent))

    found = said(watched)[SKILL]

    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert (found.description or "").startswith("depot=harbour: since 2013-07-0")
    assert "answers are worse than none: the loss is 2." in (found.description or "")
    assert "an error once it has stood for 28 days" in (found.description or "")
    assert found.metadata["remedy"].value == "retrain"
    shown = parts(found)
    assert [name for name, passed in shown.items() if not passed] == ["depot=harbour"]
    assert "skill (dashed" in str(found.metadata["picture"].value)


def test_the_picture_of_slices_is_shown_with_the_windows_and_with_no_check_that_passed(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent), labels_of(sent))

    result = watched.run(["windows"])

    [materialized] = result.get_asset_materialization_events()
    assert "data:image/svg+xml" in str(materialized.materialization.metadata["skill_by_slice"].value)
    shown = {evaluation.check_name: evaluation.metadata for evaluation in result.get_asset_check_evaluations()}
    assert not shown[SKILL].keys() & {"picture", "remedy"}


def test_a_sound_log_passes_in_every_slice_also_in_one_without_a_value_and_a_new_one(watched: Platform) -> None:
    new = pl.when(pl.col("parcel_id").str.ends_with("7")).then(pl.lit("drone")).otherwise("carrier")
    sent = fortnight().with_columns(carrier=new)
    append_log(watched.home.lake, answers(sent), labels_of(sent))

    found = said(watched)

    for claim in (CLAIM, SKILL):
        assert found[claim].passed
        assert {"carrier=drone", "carrier=null", "depot=harbour"} < parts(found[claim]).keys()


def test_answers_that_are_wrong_everywhere_are_an_error_of_the_whole_alone(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent, scores=pl.concat_list(pl.col("probability") * 0.6)), labels_of(sent))

    found = said(watched)

    assert not found["answers_are_calibrated"].passed
    assert found["answers_are_calibrated"].severity == dg.AssetCheckSeverity.ERROR
    assert found[CLAIM].passed


def test_while_labels_are_missing_it_is_a_warning_for_want_of_evidence(watched: Platform) -> None:
    append_log(watched.home.lake, answers(fortnight()))

    found = said(watched)

    for claim in (CLAIM, SKILL):
        assert not found[claim].passed
        assert found[claim].severity == dg.AssetCheckSeverity.WARN
        assert "no slice has enough to judge" in (found[claim].description or "")


@pytest.mark.parametrize("use_case", [parcel_use_case(slices=())])
def test_a_use_case_without_slices_passes_and_says_so(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, answers(sent), labels_of(sent))

    found = said(watched)

    for claim in (CLAIM, SKILL):
        assert found[claim].passed
        assert (found[claim].description or "").startswith("the use case has no `slices`")
        assert PARTS not in found[claim].metadata
