"""The block that an approver pastes into the Launchpad of the release asset."""

from lake.evaluation import Evaluation
from lake.tables import RELEASE
from trainserve_assets.use_case import UseCase


def release_block(use_case: UseCase, evaluation: Evaluation) -> str:
    """The run config of the release asset for this evaluation, to paste and complete: only a person can say the rest."""
    return f"""\
ops:
  {use_case.name}__{RELEASE}:
    config:
      evaluation_id: {evaluation.evaluation_id}
      decision: approve  # or reject, revoke, roll back
      role: champion  # or challenger, shadow
      arm: champion  # the name of the arm that is to serve it
      approver:  # who you are
      reason:  # why you decide so
"""
