"""The asset `maintenance`: what it keeps and what it lets go is the use case's to say, and the ledger's."""

import os
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pytest

from lake.errors import SettingError
from lake.fixed_schemas import MAINTENANCE_SCHEMA
from lake.home import Home
from lake.log.maintenance import FEWEST_SMALL_FILES
from lake.package import MANIFEST
from lake.tables import COMMITS, DATASET, LOG, MAINTENANCE, PREDICTIONS, TABLES
from tests.parcel_log import LOG_FROM, answers, append_log, labels_of, parcels_sent
from tests.parcel_training import Platform, failures, parcel_use_case
from tests.scenario import USE_CASE
from trainserve_assets.assets.maintenance import log_maintenance_definitions
from trainserve_assets.cited import cited_dataset_versions
from trainserve_assets.digests import content_digest
from trainserve_assets.reproduce_command import reproduce
from trainserve_assets.training import read_note
from trainserve_assets.use_case import Retention

THOROUGH = {"ops": {f"{USE_CASE}__maintenance": {"config": {"thorough": True}}}}


def maintained(platform: Platform, *, thorough: bool = True) -> dict[str, Any]:
    """The metadata of a run of maintenance."""
    result = platform.run([MAINTENANCE], THOROUGH if thorough else {})
    assert result.success, failures(result)
    [event] = result.get_asset_materialization_events()
    return {name: getattr(value, "records", value.value) for name, value in event.materialization.metadata.items()}


def under(platform: Platform, **retention: Any) -> Platform:
    """The platform with its use case under another retention."""
    use_case = msgspec.structs.replace(platform.use_case, retention=Retention(**retention))
    return Platform(platform.home, platform.instance, use_case)


def replace_dataset(platform: Platform, times: int) -> None:
    """Give the dataset so many new versions, each without the first rows of the one before."""
    table = platform.lake.table(USE_CASE, DATASET)
    for _ in range(times):
        rows = table.scan().collect()[10:]
        table.replace(rows, content_digest(rows))


def a_year_later(home: Home) -> None:
    """Let a year go by for the dataset: its files are older, and what was removed from it was removed so long ago."""
    year_s = 365 * 86_400
    folder = Path(home.lake) / USE_CASE / DATASET
    for entry in (folder / "_delta_log").glob("*.json"):
        entry.write_text(re.sub(r'(?<="deletionTimestamp":)\d+', lambda at: str(int(at[0]) - year_s * 1000), entry.read_text()))
    for path in folder.rglob("*"):
        if path.is_file():
            at = path.stat().st_mtime - year_s
            os.utime(path, (at, at))


def log_of(days_ago: int) -> pl.DataFrame:
    """Sixty answers that arrived so many days ago, about parcels of 2013."""
    arrived = datetime.now(timezone.utc) - timedelta(days=days_ago)
    return answers(parcels_sent(LOG_FROM, 3, per_day=20), received_at_utc=pl.lit(arrived, pl.Datetime("us", "UTC")))


def test_what_decisions_cite_is_reproduced_after_maintenance_and_other_versions_are_gone(platform: Platform) -> None:
    released = read_note(platform.lake.store, USE_CASE, "trees").package_digest
    assert platform.release().success
    replace_dataset(platform, 4)
    result = platform.run(["candidate_trees", "candidate_boosting", "candidate_line"])
    assert result.success, failures(result)
    newest = platform.lake.table(USE_CASE, DATASET).version()
    replace_dataset(platform, 1)
    a_year_later(platform.home)

    found = maintained(platform)

    assert cited_dataset_versions(platform.lake, platform.use_case) == {0, newest}
    assert found["removed_files"] == 3, "versions 1 to 3"
    assert reproduce(released) == 0
    assert platform.lake.table(USE_CASE, DATASET).scan(newest).collect().height > 0
    with pytest.raises(OSError, match="No such file"):
        platform.lake.table(USE_CASE, DATASET).scan(2).collect()


def test_versions_that_nobody_cites_stay_as_long_as_the_use_case_says(platform: Platform) -> None:
    replace_dataset(platform, 2)
    assert maintained(platform)["removed_files"] == 0
    a_year_later(platform.home)
    assert maintained(under(platform, dataset_versions=366))["removed_files"] == 0
    assert maintained(under(platform, dataset_versions=364, legal_hold=("dataset",)))["removed_files"] == 0
    assert maintained(under(platform, dataset_versions=364))["removed_files"] == 1, "the candidates' version 0 stays"


def test_a_cited_package_that_is_gone_lets_no_version_go(platform: Platform) -> None:
    assert platform.release().success
    released = read_note(platform.lake.store, USE_CASE, "trees").package_digest
    replace_dataset(platform, 2)
    a_year_later(platform.home)
    (Path(platform.home.lake) / USE_CASE / "packages" / released / MANIFEST).unlink()

    [dataset] = [one for one in maintained(platform)["tables"] if one.data["table"] == DATASET]

    assert dataset.data["removed files"] == 0
    assert f"packages/{released}/manifest.json" in str(dataset.data["left undone"])
    assert platform.lake.table(USE_CASE, DATASET).scan(1).collect().height > 0


def test_rows_go_when_they_are_as_old_as_the_retention_says_since_they_arrived(home: Home, instance: dg.DagsterInstance) -> None:
    platform = under(Platform(home, instance), predictions=30)
    append_log(home.lake, log_of(days_ago=31), labels_of(parcels_sent(LOG_FROM, 1, per_day=20)), source="old")
    append_log(home.lake, log_of(days_ago=29), source="young")

    assert maintained(platform, thorough=False)["retired_rows"] == 0
    assert maintained(under(platform, predictions=30, legal_hold=True))["retired_rows"] == 0
    assert maintained(platform)["retired_rows"] == 60

    assert platform.lake.table(USE_CASE, PREDICTIONS).scan().collect()["spool_id"].len() == 60
    kept = platform.lake.table(USE_CASE, MAINTENANCE).scan().collect()
    assert kept.schema == MAINTENANCE_SCHEMA
    assert kept.select("table", "retired_rows").rows() == [(PREDICTIONS, 60)]


def test_without_a_retention_labels_and_predictions_stay_for_good(home: Home, instance: dg.DagsterInstance) -> None:
    append_log(home.lake, log_of(days_ago=10_000), labels_of(parcels_sent(LOG_FROM, 3, per_day=20)))

    assert maintained(Platform(home, instance))["retired_rows"] == 0


def test_a_table_that_cannot_be_read_fails_the_run_and_keeps_no_other_from_its_maintenance(
    home: Home, instance: dg.DagsterInstance
) -> None:
    platform = Platform(home, instance)
    for number in range(FEWEST_SMALL_FILES):
        append_log(home.lake, log_of(days_ago=number).head(1), source=f"{number}")
    broken = Path(home.lake) / USE_CASE / DATASET / "_delta_log"
    broken.mkdir(parents=True)
    (broken / f"{0:020}.json").write_text("garbage")

    result = platform.run([MAINTENANCE])

    assert "table late_parcel/dataset is not available" in failures(result)
    assert platform.lake.table(USE_CASE, PREDICTIONS).files().height == 1


def test_the_tables_of_no_one_use_case_have_their_own_maintenance(home: Home, instance: dg.DagsterInstance) -> None:
    platform = Platform(home, instance)
    commits = platform.lake.table(LOG, COMMITS)
    for number in range(FEWEST_SMALL_FILES):
        commits.append_once(pl.DataFrame({"seq": [number + 1]}), "spool")
    shared = dg.Definitions(resources={"lake": platform.lake}, executor=dg.in_process_executor)
    job = dg.Definitions.merge(log_maintenance_definitions(), shared).resolve_job_def(f"{LOG}_maintenance")

    assert job.execute_in_process(instance=instance).success
    assert commits.files().height == 1


@pytest.mark.parametrize(("name", "cron", "thorough"), [("often", "*/15 * * * *", False), ("nightly", "40 3 * * *", True)])
def test_schedules_run_by_themselves_and_wait_for_the_run_before(
    home: Home, kept_instance: dg.DagsterInstance, name: str, cron: str, *, thorough: bool
) -> None:
    [schedule] = [one for one in Platform(home, kept_instance).definitions.schedules or [] if one.name.endswith(name)]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.cron_schedule, schedule.default_status) == (cron, dg.DefaultScheduleStatus.RUNNING)

    [request] = schedule.evaluate_tick(dg.build_schedule_context(kept_instance)).run_requests or []
    assert request.run_config["ops"]["late_parcel__maintenance"]["config"] == {"thorough": thorough}
    kept_instance.create_run_for_job(
        Platform(home, kept_instance).definitions.resolve_job_def(f"{USE_CASE}_maintenance"), status=dg.DagsterRunStatus.STARTED
    )
    assert schedule.evaluate_tick(dg.build_schedule_context(kept_instance)).skip_message == "the run before has not ended"


@pytest.mark.parametrize(
    ("retention", "words"),
    [
        ({"predictions": 0}, "retention.predictions is 0, expected a number of days from 1 on"),
        ({"dataset_versions": -1}, "retention.dataset_versions is -1"),
        ({"legal_hold": ("predictions", "secrets")}, r"legal_hold is \['secrets'\], expected true, false, or tables: dataset"),
    ],
)
def test_a_retention_that_means_nothing_is_refused(retention: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        Retention(**retention)


def test_a_hold_is_on_everything_or_on_what_it_names() -> None:
    assert [name for name in TABLES if Retention(legal_hold=True).holds(name)] == list(TABLES)
    assert [name for name in TABLES if Retention(legal_hold=("labels",)).holds(name)] == ["labels"]
    assert not any(parcel_use_case().retention.holds(name) for name in TABLES)
