"""The exhibit: everything that the page and the card of one candidate are made from."""

from collections.abc import Mapping

import msgspec

from lake.evaluation import Evaluation
from lake.package import Manifest
from lake.release.policy import BUILT_IN, Policy
from trainserve_assets.metrics import Sample
from trainserve_assets.use_case import UseCase


class Exhibit(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation with what its document does not hold.

    `samples` are the scored holdout by model: the candidate's own first, then those of what it is compared with.
    `rivals` are the evaluations of the other candidates of the same run, `policy` who may release it.
    """

    use_case: UseCase
    evaluation: Evaluation
    manifest: Manifest
    samples: Mapping[str, Sample]
    rivals: tuple[Evaluation, ...] = ()
    policy: Policy = BUILT_IN.policy

    @property
    def sample(self) -> Sample:
        """The candidate's own scores."""
        return next(iter(self.samples.values()))
