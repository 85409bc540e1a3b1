"""The asset `windows`: what each arm did on each day."""

from typing import Any

import dagster as dg
from pydantic import Field

from lake.fixed_schemas import WINDOWS_SCHEMA
from lake.input_schema import read_input_schema
from lake.tables import DATASET, LABELS, PREDICTIONS, WINDOWS
from trainserve_assets.assets.window_checks import window_checks
from trainserve_assets.automation import when_the_log_grew
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.windows.picture import slices_picture, windows_picture
from trainserve_assets.windows.table import newest_windows
from trainserve_assets.windows.update import update_windows

_DESCRIPTIONS = {
    "span_start_utc": "Beginning of the span; days are those of UTC",
    "span_end_utc": "End of the span, exclusive",
    "arm": "The arm that answered; 'all arms' for spans of traffic, 'no arm' for requests that reached none",
    "metric": "What was computed",
    "slice": "'all', or what alone the figure is about: a feature, a class, a package, a value of a field as origin=EWR",
    "value": "The figure",
    "n": "Rows that it rests on",
    "labels_as_of_utc": "When the newest row or label that it rests on had arrived",
}
_COLUMNS = dg.TableSchema([dg.TableColumn(name, str(dtype), _DESCRIPTIONS[name]) for name, dtype in WINDOWS_SCHEMA.items()])


class WindowsConfig(dg.Config):
    """How far back days may still change."""

    days_back: int = Field(
        default=92, description="Days of event time, counted back from the newest logged one, that are looked at for changes"
    )


def windows_definitions(use_case: UseCase) -> dg.Definitions:
    """The windows of a use case, and the checks that read them."""

    @dg.asset(
        key=[use_case.name, WINDOWS],
        deps=[dg.AssetKey([use_case.name, name]) for name in (PREDICTIONS, LABELS, DATASET)],
        group_name="monitoring",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        automation_condition=when_the_log_grew("*/5 * * * *"),
        metadata={"dagster/column_schema": _COLUMNS},
        description=(
            "One row per span, arm, metric and slice, and per state of knowledge: a figure is written again, with a later "
            "labels_as_of_utc, when more labels or rows of its span have arrived. Spans are five minutes of event time for "
            "traffic, days of event time (UTC) for all else, and days of arrival for latencies. Append-only."
        ),
    )
    def windows(config: WindowsConfig, lake: LakeResource) -> dg.MaterializeResult[None]:
        schema = read_input_schema(lake.store, use_case.name)
        table = lake.table(use_case.name, WINDOWS)
        rate = use_case.monitoring.drift_false_alarm_rate
        with lake.naming_files(use_case.name, PREDICTIONS, LABELS, WINDOWS, DATASET):
            update = update_windows(lake.home.lake, schema, config.days_back, rate, use_case.slices)
            windows_now = newest_windows(table)
            pictures = {
                "predicted_and_observed": windows_picture(windows_now),
                "skill_by_slice": slices_picture(windows_now, schema, use_case.slices),
            }
        metadata: dict[str, Any] = {
            "new_figures": update.figures,
            "computed_days": len(update.days),
            "computed_rows": update.rows,
            "days": f"{update.days[0]} to {update.days[-1]}"
            if update.days
            else "none: of no day much has arrived since the last run",
            "delta_version": table.version(),
        }
        if update.without_reference:
            metadata["packages_not_in_the_lake"] = ", ".join(update.without_reference)
        metadata |= {name: dg.MetadataValue.md(picture) for name, picture in pictures.items() if picture}
        return dg.MaterializeResult(metadata=metadata)

    return dg.Definitions(assets=[windows], asset_checks=window_checks(use_case))
