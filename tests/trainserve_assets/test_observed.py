"""What is observed: the logged tables by their versions, the predictors by asking them, and what follows by itself."""

from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from lake.delta import Table
from lake.home import Home, now_us
from lake.log.records import encode_record
from lake.log.shipper import Shipper
from lake.log.slot import Slot
from lake.tables import PREDICTIONS
from lake.times import now_utc
from serving.app import create_app
from tests.parcel_log import LOG_FROM, answers, append_log, labels_of, parcels_sent, write_history
from tests.parcel_training import Platform
from tests.scenario import USE_CASE, prediction
from tests.served import Approver, eventually, listening, toy
from trainserve_assets.predictors import Predictors

MONITORING = {"windows", "feedback", "experiment"}


@pytest.fixture
def watched(home: Home, instance: dg.DagsterInstance) -> Platform:
    """A platform with a history, and no log yet."""
    write_history(home.lake, days=10, per_day=50)
    return Platform(home, instance)


def tick(platform: Platform, name: str, predictors: str = "", cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    """What one tick of a sensor of the use case says."""
    [sensor] = [one for one in platform.definitions.sensors or [] if one.name == f"{USE_CASE}_{name}"]
    assert isinstance(sensor, dg.SensorDefinition)
    resources = {"lake": platform.lake, "predictors": Predictors(addresses=predictors)}
    context = dg.build_sensor_context(
        platform.instance, cursor=cursor, resources={key: resources[key] for key in sensor.required_resource_keys}
    )
    said = sensor(context)
    assert isinstance(said, dg.SensorResult | dg.SkipReason)
    return said


def reported(said: dg.SensorResult | dg.SkipReason) -> dict[str, dg.AssetMaterialization]:
    assert isinstance(said, dg.SensorResult)
    events = [event for event in said.asset_events if isinstance(event, dg.AssetMaterialization)]
    return {event.asset_key.path[-1]: event for event in events}


def test_a_new_version_of_a_logged_table_is_a_materialization_with_what_it_holds(watched: Platform) -> None:
    sent = parcels_sent(LOG_FROM, 3)
    append_log(watched.home.lake, answers(sent), labels_of(sent.head(500)))

    found = reported(tick(watched, "log"))

    assert set(found) == {"predictions", "labels"}
    metadata = {name: value.value for name, value in found["predictions"].metadata.items()}
    assert metadata["dagster/row_count"] == 600
    newest = sent["sent_at"].max()
    assert isinstance(newest, datetime)
    assert metadata["newest_event_time"] == newest.timestamp()
    assert metadata["newest_arrival"] == newest.timestamp() + 1
    assert metadata["lag_s"] == pytest.approx((datetime.now(timezone.utc) - newest).total_seconds(), rel=1e-5)
    version = Table(watched.home.lake, USE_CASE, PREDICTIONS).version()
    assert (found["predictions"].tags or {})["dagster/data_version"] == str(version)
    assert found["labels"].metadata["dagster/row_count"].value == 500


def test_a_version_is_reported_once(watched: Platform) -> None:
    sent = parcels_sent(LOG_FROM, 3)
    append_log(watched.home.lake, answers(sent))
    first = tick(watched, "log")
    assert isinstance(first, dg.SensorResult)
    again = tick(watched, "log", cursor=first.cursor)
    assert reported(again) == {}

    append_log(watched.home.lake, labels=labels_of(sent))

    assert set(reported(tick(watched, "log", cursor=first.cursor))) == {"labels"}


def test_before_anything_is_logged_nothing_is_reported(watched: Platform) -> None:
    assert reported(tick(watched, "log")) == {}


def test_reading_the_state_of_a_table_does_not_read_its_rows(watched: Platform) -> None:
    append_log(watched.home.lake, answers(parcels_sent(LOG_FROM, 3)))
    for file in (watched.home.root / "lake" / USE_CASE / PREDICTIONS).rglob("*.parquet"):
        file.write_bytes(b"")

    assert reported(tick(watched, "log"))["predictions"].metadata["dagster/row_count"].value == 600


def lag(said: dg.SensorResult | dg.SkipReason) -> tuple[dg.AssetObservation, dg.AssetCheckEvaluation]:
    """What a tick says of the spools."""
    assert isinstance(said, dg.SensorResult)
    [observation] = [event for event in said.asset_events if isinstance(event, dg.AssetObservation)]
    [evaluation] = [event for event in said.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    return observation, evaluation


def test_a_log_that_does_not_arrive_fails_its_check_although_no_table_grows(watched: Platform) -> None:
    with Slot.lease(watched.home.spools) as slot:
        first = tick(watched, "log")
        observation, evaluation = lag(first)
        assert evaluation.passed
        assert observation.metadata["waiting_rows"].value == 0
        assert isinstance(first, dg.SensorResult)
        again = tick(watched, "log", cursor=first.cursor)
        assert isinstance(again, dg.SensorResult)
        assert again.asset_events == [], "the same is not said every half a minute"
        slot.append([encode_record(prediction(1, received_at_us=now_us() - 3_600_000_000))])

        observation, evaluation = lag(tick(watched, "log", cursor=first.cursor))

    assert observation.asset_key == evaluation.asset_key == watched.key(PREDICTIONS)
    assert observation.metadata["waiting_rows"].value == 1
    assert observation.metadata["spool_lag_s"].value == pytest.approx(3600, abs=60)
    assert not evaluation.passed
    assert "1 records in slot-000 has waited for 3,6" in (evaluation.description or "")


def test_bytes_that_nobody_could_read_fail_the_check_of_the_log(watched: Platform) -> None:
    with Slot.lease(watched.home.spools) as slot:
        slot.append([b"\xc1 no record"])
    Shipper(watched.home).ship()

    _, evaluation = lag(tick(watched, "log"))

    assert not evaluation.passed
    assert "1 segments held 11 bytes that nobody can read" in (evaluation.description or "")
    assert evaluation.metadata["remedy"].value == "fix the source"
    each = evaluation.metadata["each"]
    assert isinstance(each, dg.TableMetadataValue)
    assert {str(one.data["about"]): one.data["remedy"] for one in each.records}["set aside"] == "fix the source"


def served(platform: Platform, said: dg.SensorResult | dg.SkipReason) -> tuple[dg.AssetObservation, dg.AssetCheckEvaluation]:
    assert isinstance(said, dg.SensorResult)
    [observation, evaluation] = said.asset_events
    assert isinstance(observation, dg.AssetObservation)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert observation.asset_key == evaluation.asset_key == platform.key("predictors")
    return observation, evaluation


def test_what_a_predictor_serves_is_observed_and_held_against_the_ledger(watched: Platform) -> None:
    approver = Approver(watched.home)
    digest = approver.release(toy())
    with listening(create_app(watched.home, USE_CASE, "champion")) as url:
        said = tick(watched, "predictors", f"{USE_CASE}/champion={url},another/champion=http://127.0.0.1:9")

    observation, evaluation = served(watched, said)
    [record] = observation.metadata["served"].records  # type: ignore[attr-defined]
    assert record.data["package"] == digest[:12]
    assert record.data["approver"] == "ada"
    assert observation.metadata["serving"].value == 1
    assert evaluation.passed
    assert evaluation.check_name == "predictors_serve_what_was_released"


def test_a_predictor_that_is_down_fails_the_check_and_is_named(watched: Platform) -> None:
    approver = Approver(watched.home, clock=lambda: now_utc() - timedelta(minutes=5))  # long enough to load
    approver.release(toy())

    _, evaluation = served(watched, tick(watched, "predictors", f"{USE_CASE}/champion=http://127.0.0.1:9"))

    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert "http://127.0.0.1:9 serves nothing" in (evaluation.description or "")
    assert evaluation.metadata["remedy"].value == "fix the source"


def test_a_predictor_that_waits_for_a_release_serves_nothing_and_says_why(watched: Platform) -> None:
    Approver(watched.home)
    with listening(create_app(watched.home, USE_CASE, "champion")) as url:
        observation, evaluation = served(watched, tick(watched, "predictors", f"{USE_CASE}/champion={url}"))

    [record] = observation.metadata["served"].records  # type: ignore[attr-defined]
    assert record.data["package"] == ""
    assert record.data["problem"]
    assert evaluation.passed


def test_predictors_are_reported_again_only_when_they_change(watched: Platform) -> None:
    approver = Approver(watched.home)
    approver.release(toy())
    with listening(create_app(watched.home, USE_CASE, "champion")) as url:
        address = f"{USE_CASE}/champion={url}"
        first = tick(watched, "predictors", address)
        assert isinstance(first, dg.SensorResult)
        assert isinstance(tick(watched, "predictors", address, first.cursor), dg.SkipReason)

        digest = approver.release(toy(seed=2))
        eventually(lambda: isinstance(tick(watched, "predictors", address, first.cursor), dg.SensorResult))
        eventually(lambda: Predictors(addresses=address).served(USE_CASE)[0].package_digest == digest)
        observation, evaluation = served(watched, tick(watched, "predictors", address, first.cursor))

    assert observation.metadata["served"].records[0].data["package"] == digest[:12]  # type: ignore[attr-defined]
    assert evaluation.passed


def test_without_predictors_the_sensor_says_which_setting_names_them(watched: Platform) -> None:
    said = tick(watched, "predictors")

    assert isinstance(said, dg.SkipReason)
    assert "TRAINSERVE_PREDICTORS" in (said.skip_message or "")


def test_an_address_that_is_none_is_a_setting_error(watched: Platform) -> None:
    with pytest.raises(Exception, match="TRAINSERVE_PREDICTORS is 'champion=8000', expected use_case/arm=http://host:port"):
        tick(watched, "predictors", "champion=8000")


def test_the_check_of_predictors_can_be_run_by_hand(watched: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    approver = Approver(watched.home)
    approver.release(toy())
    with listening(create_app(watched.home, USE_CASE, "champion")) as url:
        monkeypatch.setenv("TRAINSERVE_PREDICTORS", f"{USE_CASE}/champion={url}")
        graph = watched.definitions.resolve_asset_graph()
        [check] = graph.get_check_keys_for_assets({watched.key("predictors")})
        job = dg.define_asset_job("by_hand", selection=dg.AssetSelection.checks(check))
        made = dg.Definitions.merge(watched.definitions, dg.Definitions(jobs=[job]))
        result = made.resolve_job_def("by_hand").execute_in_process(instance=watched.instance)

    [evaluation] = result.get_asset_check_evaluations()
    assert evaluation.passed


def requested(platform: Platform, at: datetime, cursor: Any = None) -> tuple[set[str], Any]:
    """What automation would materialize at this time, and its memory."""
    keys = [platform.key(name) for name in sorted(MONITORING)]
    said = dg.evaluate_automation_conditions(
        platform.definitions,
        platform.instance,
        asset_selection=dg.AssetSelection.assets(*keys),
        cursor=cursor,
        evaluation_time=at,
    )
    return {key.path[-1] for key in keys if said.get_num_requested(key)}, said.cursor


def test_what_watches_the_log_follows_by_itself_when_the_log_grew_and_a_tick_has_passed(watched: Platform) -> None:
    names, cursor = requested(watched, datetime(2026, 1, 1, 12, 1, tzinfo=timezone.utc))
    assert names == set()
    append_log(watched.home.lake, answers(parcels_sent(LOG_FROM, 3)))
    for event in reported(tick(watched, "log")).values():
        watched.instance.report_runless_asset_event(event)

    names, cursor = requested(watched, datetime(2026, 1, 1, 12, 2, tzinfo=timezone.utc), cursor)
    assert names == set()
    names, cursor = requested(watched, datetime(2026, 1, 1, 12, 5, 30, tzinfo=timezone.utc), cursor)
    assert names == {"windows", "experiment"}
    names, cursor = requested(watched, datetime(2026, 1, 1, 13, 0, 30, tzinfo=timezone.utc), cursor)
    assert names == {"feedback"}


def test_while_the_log_stands_still_nothing_follows(watched: Platform) -> None:
    _, cursor = requested(watched, datetime(2026, 1, 1, 12, 1, tzinfo=timezone.utc))

    names, _ = requested(watched, datetime(2026, 1, 1, 14, 0, 30, tzinfo=timezone.utc), cursor)

    assert names == set()


def test_silence_and_terms_are_looked_at_though_the_log_stands_still(watched: Platform) -> None:
    names = ("requests_come_as_usual", "releases_last", "answers_are_calibrated")
    keys = [dg.AssetCheckKey(watched.key("windows"), name) for name in names]
    asked, cursor = [], None
    for moment in ((5, 58), (5, 59), (6, 0), (6, 5)):
        said = dg.evaluate_automation_conditions(
            watched.definitions,
            watched.instance,
            asset_selection=dg.AssetSelection.checks(*keys),
            cursor=cursor,
            evaluation_time=datetime(2026, 1, 1, *moment, 30, tzinfo=timezone.utc),
        )
        asked.append({one.key.name for one in said.results if isinstance(one.key, dg.AssetCheckKey) and one.true_subset.size})
        cursor = said.cursor

    assert asked == [set(), set(), {"requests_come_as_usual", "releases_last"}, {"requests_come_as_usual"}]


def test_nothing_but_what_watches_the_log_has_automation(watched: Platform) -> None:
    graph = watched.definitions.resolve_asset_graph()

    automated = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).automation_condition is not None}

    assert automated == MONITORING


def test_the_sensors_run_without_anybody_switching_them_on(watched: Platform) -> None:
    sensors = list(watched.definitions.sensors or [])

    assert {sensor.name for sensor in sensors} == {
        f"{USE_CASE}_{name}" for name in ("alerts", "label_drops", "log", "monitoring", "predictors")
    }
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}


def test_the_sensor_that_acts_can_reach_nothing_but_what_watches_the_log(watched: Platform) -> None:
    [sensor] = [one for one in watched.definitions.sensors or [] if one.name == f"{USE_CASE}_monitoring"]
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)

    reached = sensor.asset_selection.resolve(watched.definitions.resolve_asset_graph())

    assert {key.path[-1] for key in reached} == MONITORING
