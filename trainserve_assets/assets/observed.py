"""The observed tables `predictions` and `labels`: written by the shipper, seen here by their Delta versions."""

from datetime import datetime, timezone
from typing import Any

import dagster as dg
import msgspec
import polars as pl

from lake.delta import Table
from lake.tables import EXPERIMENT, FEEDBACK, LABELS, PREDICTIONS, WINDOWS
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

DATA_VERSION_TAG = "dagster/data_version"

_DESCRIPTIONS = {
    PREDICTIONS: (
        "One row per request row and arm that computed it, keyed by request_id, row and arm: what was asked, what was "
        "answered, by which release, how fast. Partitioned by the day of event time (UTC). The proxy logs, the shipper writes."
    ),
    LABELS: (
        "One row per label received, naming a prediction by request_id and row, or by entity and event time (UTC). "
        "The newest received counts. Clients send them to the proxy, the shipper writes."
    ),
}


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """A logged table at one version, as its transaction log tells: nothing of its rows is read."""

    version: int
    rows: int
    newest_event_utc: datetime | None
    newest_arrival_utc: datetime | None


def observed_definitions(use_case: UseCase) -> dg.Definitions:
    """The logged tables of a use case, the sensor that sees them grow, and the one that acts on it."""
    names = (PREDICTIONS, LABELS)
    specs = [
        dg.AssetSpec(
            key=[use_case.name, name],
            group_name="log",
            owners=[use_case.owner],
            kinds={"deltalake"},
            description=_DESCRIPTIONS[name],
        )
        for name in names
    ]

    @dg.sensor(
        name=f"{use_case.name}_log",
        description="Reports a new Delta version of predictions or labels as a materialization.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def log_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        seen = msgspec.json.decode(context.cursor or "{}", type=dict[str, int])
        states = {name: state for name in names if (state := log_state(lake.table(use_case.name, name))) is not None}
        grown = {name: state for name, state in states.items() if seen.get(name) != state.version}
        return dg.SensorResult(
            asset_events=[_materialization(use_case, name, state) for name, state in grown.items()],
            cursor=msgspec.json.encode({name: state.version for name, state in states.items()}).decode(),
            skip_reason=None if grown else "neither predictions nor labels have grown",
        )

    acting = dg.AutomationConditionSensorDefinition(
        f"{use_case.name}_monitoring",
        target=dg.AssetSelection.assets(*([use_case.name, name] for name in (WINDOWS, FEEDBACK, EXPERIMENT))),
        description="Materializes what watches the log when the log grew. It cannot reach anything else, least of all a release.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    return dg.Definitions(assets=specs, sensors=[log_sensor, acting])


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
        metadata["lag_s"] = dg.MetadataValue.float((datetime.now(timezone.utc) - state.newest_arrival_utc).total_seconds())
    return dg.AssetMaterialization(
        asset_key=[use_case.name, name], metadata=metadata, tags={DATA_VERSION_TAG: str(state.version)}
    )
