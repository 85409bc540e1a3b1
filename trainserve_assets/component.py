"""The component `TrainServeModel`: one `defs.yaml` is one use case, from its dataset to its release."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import dagster as dg
from pydantic import BaseModel

from trainserve_assets.assets.alerts import alerts_definitions
from trainserve_assets.assets.candidate import candidate_definitions
from trainserve_assets.assets.dataset import dataset_definitions
from trainserve_assets.assets.evaluation import evaluation_definitions
from trainserve_assets.assets.experiment import experiment_definitions
from trainserve_assets.assets.feedback import feedback_definitions
from trainserve_assets.assets.label_deliveries import label_deliveries_definitions
from trainserve_assets.assets.maintenance import maintenance_definitions
from trainserve_assets.assets.observed import observed_definitions
from trainserve_assets.assets.predictors import predictors_definitions
from trainserve_assets.assets.release import release_definitions
from trainserve_assets.assets.windows import windows_definitions
from trainserve_assets.attributes import attributes_model, use_case_of
from trainserve_assets.use_case import UseCase

# Each makes the definitions of one noun from a use case; what a use case has is what stands here.
FACTORIES: tuple[Callable[[UseCase], dg.Definitions], ...] = (
    dataset_definitions,
    candidate_definitions,
    evaluation_definitions,
    release_definitions,
    predictors_definitions,
    observed_definitions,
    label_deliveries_definitions,
    feedback_definitions,
    windows_definitions,
    experiment_definitions,
    maintenance_definitions,
    alerts_definitions,
)


def use_case_definitions(use_case: UseCase) -> dg.Definitions:
    """All definitions of a use case."""
    return dg.Definitions.merge(*(make(use_case) for make in FACTORIES))


@dataclass(frozen=True)
class TrainServeModel(dg.Component, dg.Resolvable):
    """One prediction problem: its dataset, candidates, evaluation and release, and what watches its answers."""

    use_case: UseCase

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The attributes that `defs.yaml` may have: the fields of `UseCase`."""
        return attributes_model()

    @classmethod
    def resolve_from_model(cls, context: dg.ResolutionContext, model: BaseModel) -> Self:
        """The component from attributes that were read; the file has no templates to resolve, so no context is used."""
        del context
        return cls(use_case_of(model))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """All definitions of the use case; they depend on nothing but it."""
        del context
        return use_case_definitions(self.use_case)
