"""The asset `label_deliveries`: what a data engineer sees of a drop in Dagit, and the sensor that finds new ones."""

from typing import Any

import dagster as dg
import msgspec
import pytest
import time_machine

from lake.errors import SettingError
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.log_key import read_trusted_log
from lake.log.retirement import read_retirements
from lake.tables import LABEL_DELIVERIES, MAINTENANCE, REJECTED_LABELS
from tests.drops import by_request, drops, labels, put, said
from tests.parcel_training import Platform, failures, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema, private_schema
from trainserve_assets.use_case import Retention


@pytest.fixture
def platform(home: Home, instance: dg.DagsterInstance) -> Platform:
    """A use case whose input schema is published, and no log."""
    platform = Platform(home, instance)
    publish_input_schema(platform.lake.store, parcel_schema())
    return platform


def materialized(platform: Platform) -> tuple[dict[str, Any], dg.AssetCheckEvaluation]:
    """The metadata of a run, and what its check says."""
    result = platform.run([LABEL_DELIVERIES])
    assert result.success, failures(result)
    [event] = result.get_asset_materialization_events()
    [check] = result.get_asset_check_evaluations()
    shown = {name: getattr(value, "records", value.value) for name, value in event.materialization.metadata.items()}
    return shown, check


def tick(platform: Platform, cursor: str | None = None) -> dg.SensorResult:
    """What one tick of the sensor says."""
    [sensor] = [one for one in platform.definitions.sensors or [] if one.name == f"{USE_CASE}_label_drops"]
    assert isinstance(sensor, dg.SensorDefinition)
    context = dg.build_sensor_context(platform.instance, cursor=cursor, resources={"lake": platform.lake})
    said = sensor(context)
    assert isinstance(said, dg.SensorResult)
    return said


def test_a_run_shows_what_became_of_each_drop(platform: Platform) -> None:
    put(platform.home, by_request(1, 0, 1))
    put(platform.home, by_request(2, 2, 1, first=4), "august.parquet")

    shown, check = materialized(platform)

    assert {name: shown[name] for name in ("drops", "rows", "accepted", "repeated", "rejected", "unknown")} == {
        "drops": 2,
        "rows": 6,
        "accepted": 4,
        "repeated": 0,
        "rejected": 2,
        "unknown": 4,
    }
    assert [record.data["drop"] for record in shown["deliveries"]] == ["august.parquet", "july.parquet"]
    assert [record.data for record in shown["why_rejected"]] == [{"reason": "label: expected 0 or 1", "rows": 2}]
    assert shown["first_rejected"][0].data == {
        "drop": "august.parquet",
        "row": 0,
        "problems": "label: found 2.0, expected 0 or 1",
    }
    assert shown["labels_delta_version"] == platform.lake.table(USE_CASE, "labels").version()
    assert len(labels(platform.home)) == 4
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description == "of august.parquet 2 of 3 rows were rejected: see rejected_labels"


def test_drops_that_are_whole_pass_their_check(platform: Platform) -> None:
    put(platform.home, by_request(1, 0))

    _, check = materialized(platform)

    assert check.passed
    assert check.description == "All 2 rows of 1 drops were labels."


def test_a_drop_that_is_mended_passes_again(platform: Platform) -> None:
    (drops(platform.home) / "july.parquet").write_bytes(b"half")
    shown, check = materialized(platform)
    assert not check.passed
    assert shown["deliveries"][0].data["refused"].startswith("the file: found ")
    put(platform.home, by_request(1, 0))

    _, check = materialized(platform)

    assert check.passed
    assert labels(platform.home) == said(1, 0)


def test_without_any_drop_there_is_no_evidence(platform: Platform) -> None:
    shown, check = materialized(platform)

    assert shown["drops"] == 0
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)


def test_values_of_sensitive_fields_are_not_shown(home: Home, instance: dg.DagsterInstance) -> None:
    platform = Platform(home, instance, parcel_use_case(input_schema=private_schema()))
    publish_input_schema(platform.lake.store, private_schema())
    put(home, by_request(2))

    shown, _ = materialized(platform)

    assert shown["first_rejected"][0].data["problems"] == "label: expected 0 or 1"


def test_the_sensor_asks_for_a_run_when_a_drop_is_new_or_was_written_again(platform: Platform) -> None:
    assert tick(platform).run_requests == []
    put(platform.home, by_request(1))

    said = tick(platform)

    [request] = said.run_requests or []
    assert request.asset_selection == [platform.key(LABEL_DELIVERIES)]
    again = tick(platform, said.cursor)
    assert again.run_requests == []
    assert "a run was requested for july.parquet" in str(again.skip_reason)
    materialized(platform)
    assert "every drop is delivered as it is" in str(tick(platform, said.cursor).skip_reason)

    put(platform.home, by_request(1, 0))
    assert len(tick(platform, said.cursor).run_requests or []) == 1


def test_a_run_that_did_not_deliver_is_asked_for_again_after_ten_minutes(platform: Platform) -> None:
    put(platform.home, by_request(1))
    with time_machine.travel("2026-01-01T12:00:00Z", tick=False):
        said = tick(platform)
    with time_machine.travel("2026-01-01T12:09:00Z", tick=False):
        assert tick(platform, said.cursor).run_requests == []
    with time_machine.travel("2026-01-01T12:10:01Z", tick=False):
        assert len(tick(platform, said.cursor).run_requests or []) == 1


def test_a_drop_that_cannot_be_reached_fails_the_run_after_the_others(platform: Platform) -> None:
    put(platform.home, by_request(1))
    table = drops(platform.home) / "a_table"
    by_request(0, first=2).write_delta(table)
    for file in table.glob("*.parquet"):
        file.unlink()

    result = platform.run([LABEL_DELIVERIES])

    assert "a_table is not available" in failures(result)
    assert labels(platform.home) == said(1)


def test_rejected_rows_are_retired_with_the_labels(platform: Platform) -> None:
    put(platform.home, by_request(2))
    materialized(platform)
    old = msgspec.structs.replace(platform.use_case, retention=Retention(labels=1))
    with time_machine.travel("2099-01-01T00:00:00Z", tick=False):
        kept = Platform(platform.home, platform.instance, old)
        thorough = {"ops": {f"{USE_CASE}__maintenance": {"config": {"thorough": True}}}}
        assert kept.run([MAINTENANCE], thorough).success

    assert platform.lake.table(USE_CASE, REJECTED_LABELS).scan().collect().is_empty()
    [retirement] = read_retirements(platform.lake.table(USE_CASE, MAINTENANCE), REJECTED_LABELS)
    assert retirement.problem(read_trusted_log(platform.home.keys)) is None


def test_an_address_of_drops_that_is_none_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="label_drops is 'gs://bucket/labels', expected a folder"):
        parcel_use_case(label_drops="gs://bucket/labels")
