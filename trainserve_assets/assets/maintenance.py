"""The asset `maintenance`: keeps tables quick to open and no older than they may be, on schedules of its own."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import dagster as dg
from pydantic import Field

from lake.errors import TrainServeError
from lake.fixed_schemas import MAINTENANCE_SCHEMA
from lake.log.log_key import LogKey
from lake.log.maintenance import Done, Upkeep, append_maintenance, maintain
from lake.tables import COMMITS, DATASET, LABELS, LOG, MAINTENANCE, PARAMETERS, PREDICTIONS, REJECTED_LABELS, TABLES
from lake.times import now_utc
from trainserve_assets.cited import cited_dataset_versions
from trainserve_assets.erasure.again import ErasedAgain, erase_again
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase

OFTEN, NIGHTLY = "*/15 * * * *", "40 3 * * *"
_COLUMNS = dg.TableSchema([dg.TableColumn(name, str(dtype)) for name, dtype in MAINTENANCE_SCHEMA.items()])
_BUSY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
_DESCRIPTION = (
    "One row per table and run in which maintenance changed it. Every quarter of an hour small files are joined and log "
    "entries are cleaned; every night rows go that are older than `retention` says, and files that nothing needs. It runs "
    "beside shippers and readers, and never touches a dataset version that a decision cites, nor a table on legal hold."
)

Upkeeps = Callable[[LakeResource], Mapping[str, Upkeep]]
Erase = Callable[[LakeResource], ErasedAgain]


class MaintenanceConfig(dg.Config):
    """How much is done."""

    thorough: bool = Field(
        default=False,
        description="Also delete rows that are older than the use case's retention, or about entities that were erased before "
        "they arrived, and remove files without use",
    )


def maintenance_definitions(use_case: UseCase) -> dg.Definitions:
    """The maintenance of the tables of a use case."""
    retention = use_case.retention

    def upkeeps(lake: LakeResource) -> dict[str, Upkeep]:
        kept = {name: Upkeep(held=retention.holds(name)) for name in TABLES}
        for name, days in ((PREDICTIONS, retention.predictions), (LABELS, retention.labels)):
            kept[name] = Upkeep(arrival="received_at_utc", keep_days=days, held=retention.holds(name))
        kept[REJECTED_LABELS] = Upkeep(
            arrival="delivered_at_utc", keep_days=retention.labels, held=retention.holds(REJECTED_LABELS)
        )
        kept[DATASET] = Upkeep(
            held=retention.holds(DATASET),
            versions=True,
            unused=timedelta(days=retention.dataset_versions),
            cited=partial(cited_dataset_versions, lake, use_case),
        )
        return kept

    return _definitions(use_case.name, [use_case.owner], upkeeps, lambda lake: erase_again(lake, use_case))


def log_maintenance_definitions() -> dg.Definitions:
    """The maintenance of the tables that belong to no one use case."""
    tables = (COMMITS, PARAMETERS, MAINTENANCE)
    return _definitions(LOG, [], lambda _: {name: Upkeep() for name in tables}, lambda _: ErasedAgain())


def _definitions(of: str, owners: Sequence[str], upkeeps: Upkeeps, erase: Erase) -> dg.Definitions:
    key = dg.AssetKey([of, MAINTENANCE])

    @dg.asset(
        key=key,
        group_name="log",
        owners=owners,
        kinds={"deltalake"},
        description=_DESCRIPTION,
        metadata={"dagster/column_schema": _COLUMNS},
    )
    def maintenance(config: MaintenanceConfig, lake: LakeResource) -> dg.MaterializeResult[None]:
        at, done, failures = now_utc(), [], list[TrainServeError]()
        erased = ErasedAgain()
        if config.thorough:
            try:
                erased = erase(lake)
            except TrainServeError as failure:
                failures.append(failure)
        for name, upkeep in upkeeps(lake).items():
            table = lake.table(of, name)
            try:
                if table.exists():
                    done.append(maintain(table, upkeep, at, thorough=config.thorough))
            except TrainServeError as failure:  # one table that cannot be read keeps no other from its maintenance
                failures.append(failure)
        rows = append_maintenance(lake.table(of, MAINTENANCE), at, done, LogKey.read_or_make(lake.home.keys))
        if failures:
            raise failures[0]
        return dg.MaterializeResult(
            metadata={
                "changed_tables": rows,
                "files": sum(one.files for one in done),
                "joined_files": sum(one.joined_files for one in done),
                "retired_rows": sum(one.retired_rows for one in done),
                "erased_rows": erased.rows,
                **({"not_erased": erased.left} if erased.left else {}),
                "removed_files": sum(one.removed_files for one in done),
                "tables": dg.MetadataValue.table([dg.TableRecord(_shown(one)) for one in done]),
            }
        )

    job = dg.define_asset_job(f"{of}_{MAINTENANCE}", selection=dg.AssetSelection.assets(key))
    schedules = [_schedule(of, "often", OFTEN, thorough=False), _schedule(of, "nightly", NIGHTLY, thorough=True)]
    return dg.Definitions(assets=[maintenance], jobs=[job], schedules=schedules)


def _schedule(of: str, name: str, cron: str, *, thorough: bool) -> dg.ScheduleDefinition:
    job = f"{of}_{MAINTENANCE}"

    @dg.schedule(job_name=job, name=f"{job}_{name}", cron_schedule=cron, default_status=dg.DefaultScheduleStatus.RUNNING)
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=_BUSY), limit=1):
            return dg.SkipReason("the run before has not ended")
        return dg.RunRequest(run_config=dg.RunConfig(ops={f"{of}__{MAINTENANCE}": MaintenanceConfig(thorough=thorough)}))

    return tick


def _shown(done: Done) -> dict[str, str | int]:
    """One line of the table in Dagit."""
    return {
        "table": done.table,
        "files": done.files,
        "bytes": done.bytes,
        "rows": done.rows,
        "joined files": done.joined_files,
        "retired rows": done.retired_rows,
        "removed files": done.removed_files,
        "left undone": done.left,
    }
