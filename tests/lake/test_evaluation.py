"""The evaluation is a document named by its digest: kept once, and checked when it is read."""

from datetime import datetime, timezone
from typing import Any

import polars as pl
import pytest

from lake.delta import Table
from lake.errors import NotFound, VerificationError
from lake.evaluation import Estimate, Evaluation, append_evaluation, evaluations, read_evaluation
from lake.home import Home
from lake.tables import EVALUATION
from tests.scenario import USE_CASE

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def evaluation(**changes: Any) -> Evaluation:
    """The evidence about a candidate."""
    facts: dict[str, Any] = {
        "use_case": USE_CASE,
        "candidate": "small_trees",
        "task": "binary",
        "package_digest": "a" * 64,
        "model_version": "small_trees 0.0.0-1.1",
        "engine": "catboost",
        "dataset_version": 1,
        "dataset_digest": "d" * 64,
        "split": {"train": "1"},
        "trainer": "ada",
        "release_standard_digest": "5" * 64,
        "looks": 1,
        "estimates": (Estimate(metric="auc", value=0.75, n=50), Estimate(metric="auc", value=0.5, n=9, slice="depot=north")),
    }
    return Evaluation(**{**facts, **changes})


def test_an_evaluation_is_read_back_by_its_digest(home: Home) -> None:
    append_evaluation(home.lake, evaluation(), AT)

    assert read_evaluation(home.lake, USE_CASE, evaluation().evaluation_id) == evaluation()


def test_another_figure_is_another_evaluation() -> None:
    changed = evaluation(estimates=(Estimate(metric="auc", value=0.7500000001, n=50),))

    assert len({evaluation().evaluation_id, changed.evaluation_id, evaluation(looks=2).evaluation_id}) == 3
    assert evaluation().evaluation_id == evaluation().evaluation_id


def test_the_same_evaluation_is_kept_once(home: Home) -> None:
    for _ in range(2):
        append_evaluation(home.lake, evaluation(), AT)

    assert evaluations(home.lake, USE_CASE).height == 1


def test_evaluations_are_listed_oldest_first_without_their_documents(home: Home) -> None:
    assert evaluations(home.lake, USE_CASE).is_empty()
    append_evaluation(home.lake, evaluation(candidate="later"), AT.replace(day=2))
    append_evaluation(home.lake, evaluation(candidate="earlier"), AT)

    listed = evaluations(home.lake, USE_CASE)
    assert listed["candidate"].to_list() == ["earlier", "later"]
    assert "document" not in listed.columns


@pytest.mark.parametrize("kept", [False, True])
def test_an_evaluation_that_is_not_there_is_named(home: Home, *, kept: bool) -> None:
    if kept:
        append_evaluation(home.lake, evaluation(), AT)

    with pytest.raises(NotFound, match="Materialize late_parcel/evaluation, and copy the id"):
        read_evaluation(home.lake, USE_CASE, "f" * 64)


def test_a_row_whose_document_was_changed_is_refused(home: Home) -> None:
    append_evaluation(home.lake, evaluation(), AT)
    table = Table(home.lake, USE_CASE, EVALUATION)
    forged = table.scan().with_columns(pl.col("document").str.replace("0.75", "0.95")).collect()
    assert "0.95" in forged.item(0, "document")
    table.replace(forged, "forged")

    with pytest.raises(VerificationError, match=r"evaluation \w{12} does not verify"):
        read_evaluation(home.lake, USE_CASE, evaluation().evaluation_id)


def test_an_estimate_is_found_by_metric_and_slice() -> None:
    on_slice = evaluation().find("auc", "depot=north")

    assert on_slice is not None
    assert on_slice.n == 9
    assert evaluation().find("auc") == Estimate(metric="auc", value=0.75, n=50)
    assert evaluation().find("brier") is None
