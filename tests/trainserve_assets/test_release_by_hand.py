"""Nothing but a person releases: one test for each way in which Dagster could do it by itself."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInvalidConfigError, DagsterRun

from tests.parcel_training import QUIET, TRAINING, Platform, failures


def executed(platform: Platform, definitions: dg.Definitions, job: str, request: dg.RunRequest, tags: Mapping[str, str]) -> str:
    """Run what was requested as the daemon would, with its tags on it; returns why the run failed."""
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=platform.instance,
        run_config={**QUIET, **request.run_config},
        tags={**request.tags, **tags},
        asset_selection=request.asset_selection,
        raise_on_error=False,
    )
    assert not result.success
    return failures(result)


def release_job(platform: Platform, selection: Any) -> tuple[dg.Definitions, Any]:
    """The platform's definitions with a job in which somebody has filled in the release's config."""
    job = dg.define_asset_job("nightly", selection=selection, config={**QUIET, **platform.release_config()})
    return dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[job])), job


def assert_nothing_released(platform: Platform) -> None:
    assert platform.lake.ledger(platform.use_case.name).entries == []


def test_materialize_all_is_refused_for_want_of_a_config(platform: Platform) -> None:
    job = platform.definitions.resolve_implicit_global_asset_job_def()
    with pytest.raises(DagsterInvalidConfigError, match="release"):
        job.execute_in_process(instance=platform.instance, run_config=QUIET)
    assert_nothing_released(platform)


def test_materialize_all_with_a_config_releases_nothing(platform: Platform) -> None:
    result = platform.run([*TRAINING, "release"], platform.release_config())
    assert not result.success
    assert "this run materializes other assets too" in failures(result)
    assert_nothing_released(platform)


def test_a_job_of_all_assets_is_refused_for_want_of_a_config(platform: Platform) -> None:
    everything = dg.define_asset_job("everything", selection="*")
    definitions = dg.Definitions.merge(platform.definitions, dg.Definitions(jobs=[everything]))
    with pytest.raises(DagsterInvalidConfigError, match="release"):
        definitions.resolve_job_def("everything").execute_in_process(instance=platform.instance, run_config=QUIET)
    assert_nothing_released(platform)


@pytest.mark.parametrize("field", ["evaluation_id", "decision", "role", "arm", "approver", "reason"])
def test_a_config_that_lacks_a_field_is_refused(platform: Platform, field: str) -> None:
    config = platform.release_config()
    del config["ops"]["late_parcel__release"]["config"][field]
    with pytest.raises(DagsterInvalidConfigError, match=field):
        platform.run(["release"], config)
    assert_nothing_released(platform)


def test_a_schedule_releases_nothing(platform: Platform) -> None:
    definitions, job = release_job(platform, [platform.key("release")])
    schedule = dg.ScheduleDefinition(
        name="every_night", job=job, cron_schedule="0 3 * * *", run_config={**QUIET, **platform.release_config()}
    )
    context = dg.build_schedule_context(
        instance=platform.instance,
        scheduled_execution_time=datetime(2013, 7, 1, 3, tzinfo=timezone.utc),
        repository_def=definitions.get_repository_def(),
    )
    [request] = schedule.evaluate_tick(context).run_requests or []
    why = executed(platform, definitions, "nightly", request, DagsterRun.tags_for_schedule(schedule))
    assert "this run was launched by a schedule" in why
    assert_nothing_released(platform)


def test_a_sensor_releases_nothing(platform: Platform) -> None:
    definitions, job = release_job(platform, [platform.key("release")])

    @dg.sensor(job=job)
    def eager() -> dg.RunRequest:
        return dg.RunRequest(run_config={**QUIET, **platform.release_config()})

    context = dg.build_sensor_context(instance=platform.instance, definitions=definitions)
    [request] = eager.evaluate_tick(context).run_requests or []
    why = executed(platform, definitions, "nightly", request, DagsterRun.tags_for_sensor(eager))
    assert "this run was launched by a sensor" in why
    assert_nothing_released(platform)


def test_a_backfill_releases_nothing(platform: Platform) -> None:
    definitions, _ = release_job(platform, [platform.key("release")])
    request = dg.RunRequest(run_config={**QUIET, **platform.release_config()})
    why = executed(platform, definitions, "nightly", request, DagsterRun.tags_for_backfill_id("spring"))
    assert "this run was launched by a backfill" in why
    assert_nothing_released(platform)


def test_an_automatic_retry_releases_nothing(platform: Platform) -> None:
    result = platform.run(["release"], platform.release_config(), {"dagster/retry_number": "1"})
    assert "this run was launched by an automatic retry" in failures(result)
    assert_nothing_released(platform)


def test_automation_conditions_never_ask_for_a_release(platform: Platform) -> None:
    """Everything upstream is new, which is when automation acts; and the asset has no condition of its own."""
    assert platform.run(TRAINING).success
    graph = platform.definitions.resolve_asset_graph()
    everything = dg.AssetSelection.assets(*graph.executable_asset_keys)
    asked = dg.evaluate_automation_conditions(platform.definitions, instance=platform.instance, asset_selection=everything)
    assert platform.key("release") in graph.executable_asset_keys
    assert asked.get_num_requested(platform.key("release")) == 0
    assert graph.get(platform.key("release")).automation_condition is None


def test_a_run_that_automation_launched_releases_nothing(platform: Platform) -> None:
    result = platform.run(["release"], platform.release_config(), {"dagster/from_automation_condition": "true"})
    assert "this run was launched by automation" in failures(result)
    assert_nothing_released(platform)


def test_no_job_schedule_or_sensor_of_the_platform_targets_the_release(platform: Platform) -> None:
    repository = platform.definitions.get_repository_def()
    release = platform.key("release")
    jobs = [job for job in repository.get_all_jobs() if job.name != "__ASSET_JOB"]
    assert [job.name for job in jobs if release in job.asset_layer.executable_asset_keys] == []
    for sensor in repository.sensor_defs:
        selection = sensor.asset_selection
        if selection is not None and not isinstance(sensor, dg.AutomationConditionSensorDefinition):
            assert release not in selection.resolve(repository.asset_graph)
