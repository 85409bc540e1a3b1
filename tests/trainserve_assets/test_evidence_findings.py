"""Findings: each claim about a package fails when it does not hold, and says by what."""

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
import pytest

from lake.engines import Engine, Row
from lake.evaluation import Evaluation, Finding
from lake.package import Package, open_package
from lake.tables import DATASET
from tests.parcel_log import FEATURES, answers, append_log, parcels_sent
from tests.parcel_training import HISTORY_DAYS, HISTORY_FROM, Platform, parcel_use_case
from trainserve_assets.evidence import judge
from trainserve_assets.evidence.behaviour import behaviour_findings
from trainserve_assets.evidence.engine import ask_alone, budget_findings, engine_findings
from trainserve_assets.evidence.holdout import Holdout, read_holdout
from trainserve_assets.evidence.importances import importances
from trainserve_assets.evidence.leakage import alone, leakage_findings, random_split_gap
from trainserve_assets.examples import rows_of
from trainserve_assets.training import read_note
from trainserve_assets.use_case import Budget, Invariance, UseCase


class OddEngine:
    """An engine with a fault: it answers light parcels with `answer`, or adds to a batch of several rows `in_batch`."""

    name = "odd"

    def __init__(self, answer: float = 0.5, in_batch: float = 0.0, error: str | None = None) -> None:
        self.answer = answer
        self.in_batch = in_batch
        self.error = error

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        weights = [row[FEATURES.index("weight_kg")] or 0.0 for row in rows]
        if self.error is not None and any(weight < 0 for weight in weights):
            raise ValueError(self.error)
        more = self.in_batch if len(rows) > 1 else 0.0
        return [[(self.answer if weight < 5 else 0.5) + more] for weight in weights]


def holdout_of(platform: Platform) -> Holdout:
    return read_holdout(platform.lake.table(platform.use_case.name, DATASET), platform.use_case)


def package_of(platform: Platform, candidate: str) -> Package:
    store = platform.lake.store
    return open_package(store, platform.use_case.name, read_note(store, platform.use_case.name, candidate).package_digest)


def document(platform: Platform, use_case: UseCase) -> Evaluation:
    return next(one.evaluation for one in judge(platform.lake, use_case) if one.candidate.name == "trees")


def failed(findings: Sequence[Finding]) -> dict[str, str]:
    return {one.claim: one.found for one in findings if not one.passed}


def changed(holdout: Holdout, **columns: pl.Expr) -> Holdout:
    return msgspec.structs.replace(
        holdout, frame=holdout.frame.with_columns(**columns), known=holdout.known.with_columns(**columns)
    )


def test_a_model_that_uses_what_is_forbidden_is_named_with_it_and_counted(platform: Platform) -> None:
    found = document(platform, parcel_use_case(forbidden=("weight_kg", "arrived_at")))
    assert failed(found.findings) == {"no feature is among the 2 forbidden fields": "weight_kg"}
    counted = found.find("failed_findings", "topic=leakage")
    assert counted is not None
    assert (counted.value, counted.n) == (1, 3)


def test_a_feature_that_is_the_label_or_gives_it_away_is_named(platform: Platform) -> None:
    use_case, holdout = platform.use_case, holdout_of(platform)
    assert not failed(leakage_findings(use_case, FEATURES, holdout, alone(use_case, holdout)))

    copied = changed(holdout, express=pl.col("label") == 0)
    found = failed(leakage_findings(use_case, FEATURES, copied, alone(use_case, copied)))
    assert found == {
        "no feature is the label": "express",
        "no feature alone gives the label away (AUC below 0.99)": "express",
    }
    blurred = changed(holdout, distance_km=pl.col("label") + pl.col("distance_km") / 1_000)
    found = failed(leakage_findings(use_case, FEATURES, blurred, alone(use_case, blurred)))
    assert found == {"no feature alone gives the label away (AUC below 0.99)": "distance_km"}


def test_what_a_feature_tells_alone_is_the_auc_of_its_own_means(platform: Platform) -> None:
    from sklearn.metrics import roc_auc_score

    holdout = holdout_of(platform)
    means = dict(holdout.known.group_by("depot").agg(pl.col("label").mean()).rows())
    told = alone(platform.use_case, holdout)
    assert told["depot"] == pytest.approx(roc_auc_score(holdout.labels, [means[depot] for depot in holdout.frame["depot"]]))
    assert told["weight_kg"] == pytest.approx(roc_auc_score(holdout.labels, holdout.frame["weight_kg"]), abs=0.02)
    assert set(told) == set(FEATURES)


def test_rows_of_one_day_give_each_other_away_in_a_random_split(platform: Platform) -> None:
    use_case, holdout = platform.use_case, holdout_of(platform)
    trees = use_case.candidates[0]
    none = random_split_gap(use_case, trees, holdout)
    assert none is not None
    assert abs(none.value) < 0.02

    # Each day all parcels share a luck, and a field that says which day it is.
    day = pl.col("sent_at").dt.ordinal_day()
    lucky = changed(holdout, label=(day * 7919 % 10 < 5).cast(pl.Float64), distance_km=day.cast(pl.Float64))
    lucky = msgspec.structs.replace(lucky, labels=lucky.frame["label"].to_numpy(), known_labels=lucky.known["label"].to_numpy())
    gap = random_split_gap(use_case, trees, lucky)
    assert gap is not None
    assert gap.interval is not None
    assert gap.interval[1] < -0.1


def test_a_sample_without_a_class_tells_no_gap(platform: Platform) -> None:
    holdout = holdout_of(platform)
    never = msgspec.structs.replace(changed(holdout, label=pl.lit(0.0)), labels=np.zeros(holdout.labels.size))
    assert random_split_gap(platform.use_case, platform.use_case.candidates[0], never) is None


def test_a_score_that_an_irrelevant_field_moves_fails(platform: Platform) -> None:
    moved = (
        Invariance(field="weight_kg", tolerance=0.01),
        Invariance(field="weight_kg", tolerance=1),
        Invariance(field="parcel_id"),
    )
    package = package_of(platform, "trees")
    findings = behaviour_findings(parcel_use_case(invariances=moved), package.manifest, package.as_named(), holdout_of(platform))
    assert list(failed(findings)) == ["another weight_kg moves no score by more than 0.01"]
    assert findings[-1].found == "the model does not use it"


@pytest.mark.parametrize(
    ("engine", "found"),
    [
        (OddEngine(answer=float("nan")), "answers are not finite or out of range"),
        (OddEngine(answer=1.5), "answers are not finite or out of range"),
        (OddEngine(error="negative weight"), "ValueError: negative weight"),
    ],
    ids=["not a number", "out of range", "an error"],
)
def test_an_engine_that_does_not_answer_every_row_is_found_out(platform: Platform, engine: Engine, found: str) -> None:
    manifest = package_of(platform, "trees").manifest
    findings = failed(behaviour_findings(platform.use_case, manifest, engine, holdout_of(platform)))
    assert found in findings["numbers at their limits, and beyond, are answered"]


def test_each_way_to_ask_oddly_is_tried(platform: Platform) -> None:
    package = package_of(platform, "boosting")
    findings = {
        one.claim: one.n
        for one in behaviour_findings(platform.use_case, package.manifest, package.as_named(), holdout_of(platform))
    }
    assert findings == {
        "the rows of the holdout are answered": 200,
        "a category never seen is answered": 200,  # carrier; another depot is refused before it reaches a model
        "a null is answered wherever one is allowed": 3 * 200,  # carrier, distance_km, stops
        "numbers at their limits, and beyond, are answered": 3 * 4 * 200,  # weight_kg, distance_km, stops
    }


def test_a_package_whose_sealed_predictions_are_not_its_engines_fails(platform: Platform) -> None:
    package = package_of(platform, "trees")
    engine = package.as_named()
    asked = ask_alone(engine, rows_of(holdout_of(platform).spread(20), package.manifest.features))
    assert not failed(engine_findings(package, engine, asked, asked.rows))

    first, *others = package.samples
    forged = msgspec.structs.replace(package, samples=(msgspec.structs.replace(first, scores=("0x1.0p-1",)), *others))
    found = failed(engine_findings(forged, engine, asked, asked.rows))
    assert found == {
        "the sealed predictions of the trained model are given bit for bit": f"1 of {len(package.samples)} answers differ"
    }


def test_an_engine_that_answers_a_batch_otherwise_fails(platform: Platform) -> None:
    package, engine = package_of(platform, "trees"), OddEngine(in_batch=2**-53)
    asked = ask_alone(engine, rows_of(holdout_of(platform).spread(20), FEATURES))
    assert (
        failed(engine_findings(package, engine, asked, asked.rows))["a row alone is answered as in a batch, bit for bit"]
        == "20 of 20 answers differ"
    )


def test_a_package_over_its_budget_fails_and_the_document_does_not_depend_on_the_clock(platform: Platform) -> None:
    package = package_of(platform, "trees")
    rows = rows_of(holdout_of(platform).spread(10), package.manifest.features)
    once, again = (
        budget_findings(package, ask_alone(package.as_named(), rows), Budget(latency_us=0, package_bytes=1)) for _ in range(2)
    )
    assert once == again
    assert list(failed(once)) == ["one row is answered within 0 us", "the package has at most 1 bytes"]
    assert not failed(budget_findings(package, ask_alone(package.as_named(), rows), Budget()))


@pytest.mark.parametrize("candidate", ["trees", "boosting", "line"])
def test_importances_are_shares_and_the_weight_has_the_most(platform: Platform, candidate: str) -> None:
    package = package_of(platform, candidate)
    shares = importances(package, package.as_named(), holdout_of(platform))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert max(shares, key=lambda name: shares[name]) == "weight_kg"
    assert shares["weight_kg"] > 0.5


def test_the_champions_importances_stand_beside_the_candidates(platform: Platform) -> None:
    assert document(platform, platform.use_case).champion_digest is None
    assert platform.release(candidate="boosting").success
    found = document(platform, platform.use_case)
    champion = package_of(platform, "boosting")
    assert found.champion_digest == champion.digest
    assert {one.name: one.champion_importance for one in found.features} == importances(
        champion, champion.as_named(), holdout_of(platform)
    )


def test_fields_that_serving_logged_otherwise_than_the_dataset_has_them_are_counted(platform: Platform) -> None:
    assert document(platform, platform.use_case).skew == ()
    parcels = parcels_sent(HISTORY_FROM, HISTORY_DAYS, per_day=100)  # as the history has them
    heavier = pl.when(pl.int_range(pl.len()) < 30).then(pl.col("weight_kg") + 1).otherwise("weight_kg")
    append_log(platform.home.lake, answers(parcels.with_columns(weight_kg=heavier)))

    found = document(platform, platform.use_case)
    labelled = platform.lake.table(platform.use_case.name, DATASET).scan().collect().height
    assert {one.field: (one.compared, one.different) for one in found.skew} == {
        "weight_kg": (labelled, 30),
        **{name: (labelled, 0) for name in FEATURES if name != "weight_kg"},
    }
    skewed = found.find("skewed_fields")
    assert skewed is not None
    assert (skewed.value, skewed.n) == (1, labelled)


def test_what_came_back_as_feedback_is_not_compared_with_itself(platform: Platform) -> None:
    append_log(platform.home.lake, answers(parcels_sent(HISTORY_FROM, HISTORY_DAYS, per_day=100)))
    assert document(platform, parcel_use_case(history_until="2013-04-01")).skew == ()
