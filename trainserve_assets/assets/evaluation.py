"""The asset `evaluation`: the evidence about every candidate, its gates as checks, and the block an approver pastes."""

from datetime import datetime, timezone

import dagster as dg

from lake.evaluation import append_evaluation
from lake.tables import DATASET, EVALUATION
from trainserve_assets.assets.candidate import candidate_key
from trainserve_assets.evidence import judge
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase


def evaluation_definitions(use_case: UseCase) -> dg.Definitions:
    """The evaluation of a use case's candidates."""

    @dg.asset(
        key=dg.AssetKey([use_case.name, EVALUATION]),
        deps=[
            dg.AssetKey([use_case.name, DATASET]),
            *(candidate_key(use_case.name, candidate.name) for candidate in use_case.candidates),
        ],
        group_name="training",
        owners=[use_case.owner],
        kinds={"deltalake", "python"},
        description="One row per evaluation of one candidate on the holdout, keyed by the digest of its document; times UTC.",
    )
    def evaluation(lake: LakeResource) -> dg.MaterializeResult[None]:
        judged = judge(lake, use_case)
        now = datetime.now(timezone.utc)
        for one in judged:
            append_evaluation(lake.home.lake, one.evaluation, now)
        return dg.MaterializeResult(
            metadata={f"evaluation_id_{one.candidate.name}": one.evaluation.evaluation_id for one in judged}
        )

    return dg.Definitions(assets=[evaluation])
