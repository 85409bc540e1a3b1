"""The asset `dataset` and the checks that stand between it and training."""

import dagster as dg

from lake.input_schema import publish_input_schema
from lake.tables import DATASET, FEEDBACK
from trainserve_assets.digests import content_digest
from trainserve_assets.examples import examples, read_source
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


def dataset_definitions(use_case: UseCase) -> dg.Definitions:
    """The dataset of a use case and its blocking checks."""
    key = dg.AssetKey([use_case.name, DATASET])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([use_case.name, FEEDBACK])],
        group_name="data",
        owners=[use_case.owner],
        kinds={"polars", "deltalake"},
        description=f"{use_case.title}: one row per labelled example, keyed by entity and event time (UTC), with its split.",
    )
    def dataset(lake: LakeResource) -> dg.MaterializeResult[None]:
        publish_input_schema(lake.store, use_case.input_schema)
        feedback = lake.table(use_case.name, FEEDBACK)
        rows = examples(use_case, read_source(use_case), feedback.scan() if feedback.exists() else None)
        digest = content_digest(rows)
        version = lake.table(use_case.name, DATASET).replace(rows, digest)
        return dg.MaterializeResult(metadata={"dagster/row_count": rows.height, "delta_version": version, "digest": digest})

    return dg.Definitions(assets=[dataset])
