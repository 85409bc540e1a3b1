"""The asset `feedback`: what the log teaches, on its way back into the dataset."""

import dagster as dg

from lake.input_schema import read_input_schema
from lake.tables import FEEDBACK, LABELS, PREDICTIONS
from trainserve_assets.automation import when_the_log_grew
from trainserve_assets.digests import content_digest
from trainserve_assets.erasure.again import asked_for, not_erased, without_erased
from trainserve_assets.feedback import feedback_rows
from trainserve_assets.logged import read_log
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


def feedback_definitions(use_case: UseCase) -> dg.Definitions:
    """The feedback of a use case."""

    @dg.asset(
        key=[use_case.name, FEEDBACK],
        deps=[dg.AssetKey([use_case.name, PREDICTIONS]), dg.AssetKey([use_case.name, LABELS])],
        group_name="data",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        automation_condition=when_the_log_grew("0 * * * *"),
        description=(
            "One row per labelled answer, keyed by entity and event time (UTC): its fields as they were asked, its label, "
            "and the package that answered. The dataset takes it up from the day on which its history ends."
        ),
    )
    def feedback(lake: LakeResource) -> dg.MaterializeResult[None]:
        schema = read_input_schema(lake.store, use_case.name)
        log = read_log(lake.home.lake, schema).filter(not_erased(asked_for(lake, use_case.name)))
        with lake.naming_files(use_case.name, PREDICTIONS, LABELS):
            rows = without_erased(lake, use_case, feedback_rows(log, schema))
        digest = content_digest(rows)
        version = lake.table(use_case.name, FEEDBACK).replace(rows, digest)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": rows.height,
                "delta_version": version,
                "digest": digest,
                "lacks": ", ".join(use_case.lacking) or "nothing that models use",
            },
            data_version=dg.DataVersion(digest),
        )

    return dg.Definitions(assets=[feedback])
