"""The assets `candidate_<name>`: each trains one model and seals its package."""

import dagster as dg
import msgspec

from lake.tables import DATASET
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import launcher
from trainserve_assets.training import Note, train_candidate, write_note
from trainserve_assets.use_case import Candidate, UseCase


def candidate_key(use_case: str, candidate: str) -> dg.AssetKey:
    """The key of a candidate's asset."""
    return dg.AssetKey([use_case, f"candidate_{candidate}"])


def candidate_definitions(use_case: UseCase) -> dg.Definitions:
    """One asset for each candidate of a use case."""
    return dg.Definitions(assets=[_candidate_asset(use_case, candidate) for candidate in use_case.candidates])


def _candidate_asset(use_case: UseCase, candidate: Candidate) -> dg.AssetsDefinition:
    @dg.asset(
        key=candidate_key(use_case.name, candidate.name),
        deps=[dg.AssetKey([use_case.name, DATASET])],
        group_name="training",
        owners=[use_case.owner],
        kinds={"catboost" if candidate.trainer == "catboost" else "scikitlearn", "python"},
        description=f"A model nobody has released: {candidate.trainer}, trained on the split `train`, as a sealed package.",
    )
    def candidate_model(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[None]:
        with lake.naming_files(use_case.name, DATASET):
            made, lesson = train_candidate(lake.store, lake.table(use_case.name, DATASET), use_case, candidate)
        package = made.package
        note = Note(
            candidate=candidate.name,
            package_digest=package.digest,
            trainer=launcher(context.run.tags),
            training_rows=len(lesson.rows),
        )
        write_note(lake.store, use_case.name, note)
        return dg.MaterializeResult(
            metadata={
                "package_digest": package.digest,
                "training_rows": note.training_rows,
                "dataset_version": package.manifest.dataset_version,
                "package_bytes": sum(map(len, package.files.values())),
                "engine": package.manifest.engine,
                **{f"not_{name}": f"not its engine: {why}" for name, why in made.passed_over.items()},
                "manifest": dg.MetadataValue.json(msgspec.to_builtins(package.manifest)),
            },
            data_version=dg.DataVersion(package.digest),
        )

    return candidate_model
