"""The asset `label_deliveries`: drops of labels on their way into the log, and the sensor that sees new ones."""

import time
from collections import Counter
from collections.abc import Sequence

import dagster as dg
import msgspec

from checks.deliveries import drops_are_taken_whole
from lake.errors import TrainServeError
from lake.fixed_schemas import LABEL_DELIVERIES_SCHEMA
from lake.input_schema import read_input_schema
from lake.log.deliveries import Deliveries
from lake.log.delivery import DROPS, Deliverer, Delivery, drop_folder
from lake.log.drops import DropFolder
from lake.log.privacy import Redactor
from lake.tables import LABEL_DELIVERIES, LABELS
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result

CHECK = "drops_are_taken_whole"
REPEAT_S = 600.0
_COUNTS = ("rows", "accepted", "repeated", "rejected", "unknown")
_SHOWN = 20
_DESCRIPTIONS = {
    "drop": "Path of the file or table in the folder of drops",
    "seq": "Which delivery of this drop it is, from 1 on",
    "version": "Digest of the file, or version of the Delta table, that was read",
    "stamp": "By which a listing shows that the drop was written again",
    "delivered_at_utc": "When the delivery was complete",
    "rows": "Rows that were read",
    "accepted": "Labels that the drop said for the first time",
    "repeated": "Rows that said what the drop had said before, or twice",
    "rejected": "Rows that are no label; they stand in rejected_labels, with all reasons",
    "unknown": "Accepted labels that named no prediction that was logged by then",
    "refused": "Why no more of the drop was read",
    "last_seq": "Where the slot of labels then stood",
}
_COLUMNS = dg.TableSchema(
    [dg.TableColumn(name, str(dtype), _DESCRIPTIONS[name]) for name, dtype in LABEL_DELIVERIES_SCHEMA.items()]
)


class _Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """The drops for which a run was last requested, each by its stamp, and when."""

    requested: dict[str, str] = {}
    at_s: float = 0.0


def label_deliveries_definitions(use_case: UseCase) -> dg.Definitions:
    """The deliveries of labels of a use case, their check, and what materializes them."""
    key = dg.AssetKey([use_case.name, LABEL_DELIVERIES])
    place = use_case.label_drops or f"{use_case.name}/{DROPS}/ in the lake"

    @dg.asset(
        key=key,
        group_name="log",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        description=(
            f"One row per delivery of a drop, keyed by drop and seq; times are UTC. A drop is a Parquet file or a Delta table "
            f"below {place}, with the members of a label as columns. Each label that it has not said before goes into the "
            f"log once, however often, and by how many, this is run."
        ),
        metadata={"dagster/column_schema": _COLUMNS},
    )
    def label_deliveries(lake: LakeResource) -> dg.MaterializeResult[None]:
        redactor = Redactor(read_input_schema(lake.store, use_case.name), lake.privacy)
        folder = _folder(lake, use_case)
        deliverer = Deliverer(lake.home, folder, redactor)
        deliverer.settle()
        done: list[Delivery] = []
        failures: list[TrainServeError] = []
        for drop in Deliveries(lake.home.lake, use_case.name).pending(folder.drops()):
            try:
                done.append(deliverer.deliver(drop))
            except TrainServeError as failure:  # one drop that cannot be read keeps no other from its delivery
                failures.append(failure)
        if failures:
            raise failures[0]
        versions = {
            "delta_version": lake.table(use_case.name, LABEL_DELIVERIES).version(),
            "labels_delta_version": lake.table(use_case.name, LABELS).version(),
        }
        return dg.MaterializeResult(metadata={**_shown(done, with_values=redactor.keeps_raw), **versions})

    @dg.asset_check(
        asset=key, name=CHECK, description="No drop was refused, and no row of it rejected, when it was last delivered."
    )
    def taken_whole(lake: LakeResource) -> dg.AssetCheckResult:
        newest = Deliveries(lake.home.lake, use_case.name).newest()
        return check_result({"drops": drops_are_taken_whole(list(newest.values()))}, dg.AssetCheckSeverity.ERROR)

    @dg.sensor(
        name=f"{use_case.name}_{DROPS}",
        description=f"Materializes {LABEL_DELIVERIES} when a drop is new, or was written again, below {place}.",
        target=dg.AssetSelection.assets(key),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def drops_sensor(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
        cursor = msgspec.json.decode(context.cursor or "{}", type=_Cursor)
        drops = Deliveries(lake.home.lake, use_case.name).pending(_folder(lake, use_case).drops())
        pending = {drop.name: drop.stamp for drop in drops}
        if not pending:
            return dg.SensorResult(skip_reason="every drop is delivered as it is")
        if pending == cursor.requested and time.time() - cursor.at_s < REPEAT_S:
            return dg.SensorResult(skip_reason=f"a run was requested for {', '.join(pending)}; after ten minutes it is again")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(asset_selection=[key])],
            cursor=msgspec.json.encode(_Cursor(requested=pending, at_s=time.time())).decode(),
        )

    return dg.Definitions(assets=[label_deliveries], asset_checks=[taken_whole], sensors=[drops_sensor])


def _folder(lake: LakeResource, use_case: UseCase) -> DropFolder:
    return drop_folder(lake.home, use_case.name, use_case.label_drops)


def _shown(done: Sequence[Delivery], *, with_values: bool) -> dict[str, dg.MetadataValue | int]:
    """What a run did, in all and by drop; why rows were rejected, and the first of them."""
    counts = {name: sum(getattr(one.delivered, name) for one in done) for name in _COUNTS}
    reasons = sum((one.reasons for one in done), Counter[str]())
    rejected = [(one.delivered.drop, row) for one in done for row in one.shown][:_SHOWN]
    tables = {
        "deliveries": [
            {
                "drop": one.delivered.drop,
                "version": one.delivered.version[:12],
                **{name: getattr(one.delivered, name) for name in _COUNTS},
                "refused": one.delivered.refused or "",
            }
            for one in done
        ],
        "why_rejected": [{"reason": reason, "rows": rows} for reason, rows in reasons.most_common(_SHOWN)],
        "first_rejected": [
            {"drop": drop, "row": row.number, "problems": row.words(with_values=with_values)} for drop, row in rejected
        ],
    }
    shown = {name: dg.MetadataValue.table([dg.TableRecord(row) for row in rows]) for name, rows in tables.items() if rows}
    return {"drops": len(done), **counts, **shown}
