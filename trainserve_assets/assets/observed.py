"""The observed tables `predictions` and `labels`: written by the shipper, seen here by their Delta versions.

And the way into them: the spools of this machine are seen here too, where it has some.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import msgspec
import polars as pl

from checks.backlog import log_arrives_in_time, log_is_readable
from lake.delta import Table
from lake.log.backlog import SetAside, Waiting, set_aside, waiting
from lake.tables import EXPERIMENT, FEEDBACK, LABEL_DELIVERIES, LABELS, PREDICTIONS, WINDOWS
from trainserve_assets.readable import readable
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result

DATA_VERSION_TAG = "dagster/data_version"
CHECK = "log_arrives_in_time"
REPEAT_S = 600.0

_DESCRIPTIONS = {
    PREDICTIONS: (
        "One row per request row and arm that computed it, keyed by request_id, row and arm: what was asked, what was "
        "answered, by which release, how fast. Partitioned by the day of event time (UTC). The proxy logs, the shipper writes."
    ),
    LABELS: (
        "One row per label received, naming a prediction by request_id and row, or by entity and event time (UTC). Of "
        "several the one received last counts; an observation that was delivered again is one. Clients send them to the "
        "proxy and the shipper writes, or they come as drops, which label_deliveries writes."
    ),
}


class _Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that were last reported, and what of the spools, when: that is repeated only every ten minutes."""

    versions: dict[str, int] = {}
    arriving: bool | None = None
    at_s: float = 0.0


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """A logged table at one version, as its transaction log tells: nothing of its rows is read."""

    version: int
    rows: int
    newest_event_utc: datetime | None
    newest_arrival_utc: datetime | None


def observed_definitions(use_case: UseCase) -> dg.Definitions:
    """The logged tables of a use case, the sensor that sees them grow and their spools lag, and the one that acts on it."""
    names = (PREDICTIONS, LABELS)
    predictions = dg.AssetKey([use_case.name, PREDICTIONS])
    specs = [
        dg.AssetSpec(
            key=[use_case.name, name],
            deps=[dg.AssetKey([use_case.name, LABEL_DELIVERIES])] if name == LABELS else [],
            group_name="log",
            owners=[use_case.owner],
            kinds={"deltalake"},
            description=_DESCRIPTIONS[name],
        )
        for name in names
    ]

    @dg.asset_check(
        asset=predictions,
        name=CHECK,
        description="No record waits in the spools of this machine for more than a minute, and none had to be set aside.",
    )
    def arrives(lake: LakeResource) -> dg.AssetCheckResult:
        return _arrival(waiting(lake.home), set_aside(lake.home))

    @dg.sensor(
        name=f"{use_case.name}_log",
        description="Reports a new Delta version of predictions or labels as a materialization, and how far the log is behind.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def log_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        cursor = msgspec.json.decode(context.cursor or "{}", type=_Cursor)
        states = {name: state for name in names if (state := log_state(lake.table(use_case.name, name))) is not None}
        grown = {name: state for name, state in states.items() if cursor.versions.get(name) != state.version}
        events: list[Any] = [_materialization(use_case, name, state) for name, state in grown.items()]
        arriving, at_s, spools = cursor.arriving, cursor.at_s, waiting(lake.home)
        if spools:
            result = _arrival(spools, set_aside(lake.home))
            if result.passed != arriving or time.time() - at_s >= REPEAT_S:
                events += [_lag(predictions, spools), _evaluation(predictions, result)]
                arriving, at_s = result.passed, time.time()
        versions = {name: state.version for name, state in states.items()}
        return dg.SensorResult(
            asset_events=events,
            cursor=msgspec.json.encode(_Cursor(versions=versions, arriving=arriving, at_s=at_s)).decode(),
            skip_reason=None if events else "neither predictions nor labels have grown, and the spools are as they were",
        )

    acting = dg.AutomationConditionSensorDefinition(
        f"{use_case.name}_monitoring",
        target=dg.AssetSelection.assets(*([use_case.name, name] for name in (WINDOWS, FEEDBACK, EXPERIMENT))),
        description="Materializes what watches the log when the log grew. It cannot reach anything else, least of all a release.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    return dg.Definitions(assets=specs, asset_checks=[arrives], sensors=[log_sensor, acting])


def log_state(table: Table) -> LogState | None:
    """The newest version of a logged table, or None while there is none."""
    if not table.exists():
        return None
    handle = table.open()
    files = pl.DataFrame(handle.get_add_actions(flatten=True))
    return LogState(
        version=handle.version(),
        rows=int(files["num_records"].sum()),
        newest_event_utc=_newest(files, "event_time_utc"),
        newest_arrival_utc=_newest(files, "received_at_utc"),
    )


def _newest(files: pl.DataFrame, column: str) -> datetime | None:
    newest = files[f"max.{column}"].max() if f"max.{column}" in files.columns else None
    return newest if isinstance(newest, datetime) else None


def _materialization(use_case: UseCase, name: str, state: LogState) -> dg.AssetMaterialization:
    metadata: dict[str, dg.MetadataValue[Any]] = {
        "dagster/row_count": dg.MetadataValue.int(state.rows),
        "delta_version": dg.MetadataValue.int(state.version),
    }
    if state.newest_event_utc is not None:
        metadata["newest_event_time"] = dg.MetadataValue.timestamp(state.newest_event_utc)
    if state.newest_arrival_utc is not None:
        metadata["newest_arrival"] = dg.MetadataValue.timestamp(state.newest_arrival_utc)
        lag = datetime.now(timezone.utc) - state.newest_arrival_utc
        metadata["lag_s"] = dg.MetadataValue.float(readable(lag.total_seconds()))
    return dg.AssetMaterialization(
        asset_key=[use_case.name, name], metadata=metadata, tags={DATA_VERSION_TAG: str(state.version)}
    )


def _arrival(spools: Sequence[Waiting], aside: SetAside) -> dg.AssetCheckResult:
    verdicts = {"lag": log_arrives_in_time(spools), "set aside": log_is_readable(aside)}
    return check_result(verdicts, dg.AssetCheckSeverity.ERROR)


def _lag(key: dg.AssetKey, spools: Sequence[Waiting]) -> dg.AssetObservation:
    """What waits, in all and by slot: the figures are drawn over time."""
    records = [
        dg.TableRecord({"slot": slot.slot, "rows": slot.rows, "bytes": slot.bytes, "lag s": readable(slot.lag_s)})
        for slot in spools
    ]
    return dg.AssetObservation(
        asset_key=key,
        metadata={
            "waiting_rows": sum(slot.rows for slot in spools),
            "spool_lag_s": readable(max(slot.lag_s for slot in spools)),
            "spools": dg.MetadataValue.table(records),
        },
    )


def _evaluation(key: dg.AssetKey, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=CHECK,
        passed=bool(result.passed),
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )
