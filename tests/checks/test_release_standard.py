"""Gates, decided on the evaluation document alone."""

from typing import Any

import msgspec
import pytest

from checks.release_standard import Gate, decide, standard_digest
from lake.evaluation import Difference, Estimate, Evaluation

AUC_AT_LEAST = Gate(name="ranks_well", metric="auc", must_be="at least", limit=0.7)
BEATS_BASE_RATE = Gate(name="useful", metric="log_loss", must_be="at most", limit=0.0, against="base rate")
CHAMPION = Gate(name="no_worse", metric="log_loss", must_be="at most", limit=0.01, against="champion")


def evaluation(*differences: Difference, **changes: Any) -> Evaluation:
    """AUC 0.72 [0.69, 0.75] on 1,000 rows, and 0.60 on one slice."""
    document = Evaluation(
        use_case="late_parcel",
        candidate="trees",
        task="binary",
        package_digest="a" * 64,
        model_version="trees 0.1.0-0.1",
        engine="catboost",
        dataset_version=0,
        dataset_digest="d" * 64,
        split={},
        trainer="dagster",
        release_standard_digest="5" * 64,
        looks=1,
        estimates=(
            Estimate(metric="auc", value=0.72, n=1_000, low=0.69, high=0.75),
            Estimate(metric="auc", value=0.60, n=100, slice="depot=harbour"),
        ),
        differences=differences,
    )
    return msgspec.structs.replace(document, **changes)


def difference(other: Any, value: float, low: float, high: float) -> Difference:
    return Difference(metric="log_loss", other=other, other_name="x", value=value, low=low, high=high, n=1_000, days=30)


def test_the_estimate_decides_when_the_bound_is_the_point() -> None:
    verdict = decide(AUC_AT_LEAST, evaluation())
    assert verdict.passed
    assert (verdict.observed, verdict.limit, verdict.rows) == (0.72, 0.7, 1_000)
    assert verdict.reason == "ranks_well: auc is 0.72, must be at least 0.7, over 1,000 rows"


def test_the_worst_end_decides_when_the_bound_is_the_interval() -> None:
    gate = msgspec.structs.replace(AUC_AT_LEAST, bound="interval")
    assert decide(gate, evaluation()).observed == 0.69
    assert not decide(gate, evaluation()).passed
    at_most = msgspec.structs.replace(gate, must_be="at most", limit=0.74)
    assert decide(at_most, evaluation()).observed == 0.75
    assert not decide(at_most, evaluation()).passed


def test_a_figure_at_the_limit_passes() -> None:
    assert decide(msgspec.structs.replace(AUC_AT_LEAST, limit=0.72), evaluation()).passed
    assert decide(msgspec.structs.replace(AUC_AT_LEAST, limit=0.72, must_be="at most"), evaluation()).passed


def test_a_gate_on_a_slice_looks_at_that_slice() -> None:
    verdict = decide(msgspec.structs.replace(AUC_AT_LEAST, slice="depot=harbour"), evaluation())
    assert not verdict.passed
    assert verdict.rows == 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "accuracy"}, "the evaluation has no accuracy on slice 'all'"),
        ({"slice": "depot=moon"}, "the evaluation has no auc on slice 'depot=moon'"),
        ({"slice": "depot=harbour", "bound": "interval"}, "auc on slice 'depot=harbour' has no interval"),
        ({"against": "baseline"}, "the evaluation does not compare auc with the baseline"),
    ],
)
def test_a_figure_that_is_not_there_fails_with_its_own_reason(changes: dict[str, Any], words: str) -> None:
    verdict = decide(msgspec.structs.replace(AUC_AT_LEAST, **changes), evaluation())
    assert not verdict.passed
    assert verdict.observed is None
    assert words in verdict.reason


def test_a_difference_is_candidate_minus_other() -> None:
    assert decide(BEATS_BASE_RATE, evaluation(difference("base rate", -0.05, -0.08, 0.02))).passed
    assert not decide(BEATS_BASE_RATE, evaluation(difference("base rate", 0.05, -0.08, 0.1))).passed
    strict = msgspec.structs.replace(BEATS_BASE_RATE, bound="interval")
    assert not decide(strict, evaluation(difference("base rate", -0.05, -0.08, 0.02))).passed


def test_without_a_champion_its_gate_passes_and_says_so() -> None:
    verdict = decide(CHAMPION, evaluation())
    assert verdict.passed
    assert "there is no champion yet" in verdict.reason


def test_with_a_champion_its_gate_needs_its_own_metric() -> None:
    other = msgspec.structs.replace(difference("champion", 0.0, 0.0, 0.0), metric="auc")
    verdict = decide(CHAMPION, evaluation(other))
    assert not verdict.passed
    assert "does not compare log_loss with the champion" in verdict.reason


def test_a_worse_challenger_fails_the_champions_gate() -> None:
    assert decide(CHAMPION, evaluation(difference("champion", 0.009, 0.0, 0.02))).passed
    assert not decide(CHAMPION, evaluation(difference("champion", 0.011, 0.0, 0.02))).passed


def test_another_standard_has_another_digest() -> None:
    digest = standard_digest([AUC_AT_LEAST, CHAMPION])
    assert standard_digest([AUC_AT_LEAST, CHAMPION]) == digest
    assert standard_digest([AUC_AT_LEAST, msgspec.structs.replace(CHAMPION, limit=0.02)]) != digest
    assert standard_digest([AUC_AT_LEAST]) != digest


def test_a_difference_on_a_slice_is_that_of_the_slice() -> None:
    gate = msgspec.structs.replace(CHAMPION, slice="depot=north")
    whole = difference("champion", 0.0, 0.0, 0.0)
    north = msgspec.structs.replace(whole, slice="depot=north", value=0.02, n=100)
    verdict = decide(gate, evaluation(whole, north))
    assert not verdict.passed
    assert verdict.reason.endswith("against the champion on slice 'depot=north' is 0.02, must be at most 0.01, over 100 rows")
    assert decide(CHAMPION, evaluation(whole, north)).passed
    assert "on slice 'depot=north'" in decide(gate, evaluation(whole)).reason
    assert not decide(gate, evaluation(whole)).passed


def test_a_champion_that_was_not_compared_for_want_of_days_passes_nothing() -> None:
    verdict = decide(CHAMPION, evaluation(champion_digest="c" * 64))
    assert not verdict.passed
    assert "too few days" in verdict.reason


@pytest.mark.parametrize(("failed", "passed"), [(0.0, True), (1.0, False)])
def test_a_gate_can_demand_that_no_finding_failed(*, failed: float, passed: bool) -> None:
    gate = Gate(name="nothing_leaks", metric="failed_findings", slice="topic=leakage", must_be="at most", limit=0)
    counted = Estimate(metric="failed_findings", value=failed, n=3, slice="topic=leakage")
    verdict = decide(gate, evaluation(estimates=(counted,)))
    assert verdict.passed == passed
    assert verdict.reason.endswith("over 3 findings")
    assert not decide(gate, evaluation()).passed
