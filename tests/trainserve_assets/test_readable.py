"""What people see of a run in Dagit: numbers stay numbers, but of six digits, and in no words there are more."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.parcel_log import append_log, fortnight, labels_of, two_arms
from tests.parcel_training import Platform, failures
from trainserve_assets.readable import readable

RAW = re.compile(r"\d\.\d{7}")


def shown(metadata: Mapping[str, dg.MetadataValue[Any]]) -> Iterator[tuple[str, object]]:
    """Everything that a page has of it, in tables too."""
    for name, one in metadata.items():
        if isinstance(one, dg.TableMetadataValue):
            yield from ((f"{name}: {column}", value) for record in one.records for column, value in record.data.items())
        else:
            yield name, one.value


def is_raw(value: object) -> bool:
    return value != float(f"{value:.6g}") if isinstance(value, float) else isinstance(value, str) and bool(RAW.search(value))


@pytest.mark.parametrize(
    ("value", "seen"), [(0.1 + 0.2, 0.3), (2.278597068559842, 2.2786), (1_234_567.5, 1_234_570.0), (float("inf"), float("inf"))]
)
def test_a_number_has_six_digits(value: float, seen: float) -> None:
    assert readable(value) == seen


def test_the_evaluation_and_the_dataset_show_no_raw_numbers(trained: Platform) -> None:
    events = {name: trained.instance.get_latest_materialization_event(trained.key(name)) for name in ("dataset", "evaluation")}
    made = {name: event.asset_materialization for name, event in events.items() if event is not None}
    found = {(name, *one) for name, asset in made.items() if asset is not None for one in shown(asset.metadata)}

    assert {"log_loss_trees", "auc_trees", "latency_us_trees", "label_mean"} <= {
        name for _, name, value in found if isinstance(value, float)
    }
    assert [one for one in found if is_raw(one[-1])] == []


def test_windows_an_experiment_and_their_checks_show_no_raw_numbers(watched: Platform) -> None:
    sent = fortnight()
    append_log(watched.home.lake, two_arms(sent, 1 - pl.col("probability")), labels_of(sent))
    result = watched.run(["windows", "experiment"])
    assert result.success, failures(result)
    made = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    checks = result.get_asset_check_evaluations()
    found = [one for metadata in (*made, *(check.metadata for check in checks)) for one in shown(metadata)]
    words = [("description", check.description) for check in checks]

    floats = {name for name, value in found if isinstance(value, float)}
    assert {"difference", "interval_low", "guardrails: observed", "observed"} <= floats
    assert [one for one in (*found, *words) if is_raw(one[-1])] == []
