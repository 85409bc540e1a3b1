"""The block that an approver pastes into the Launchpad of the release asset, and what they should know before."""

from typing import get_args

from lake.evaluation import Evaluation
from lake.release.decision import Role
from lake.release.policy import Policy
from lake.tables import RELEASE
from trainserve_assets.use_case import UseCase


def release_block(use_case: UseCase, evaluation: Evaluation, policy: Policy) -> str:
    """The run config of the release asset for this evaluation, to paste and complete: only a person can say the rest."""
    signatures = ""
    if needed := _needed(evaluation, policy):
        command = f"trainserve sign {evaluation.evaluation_id[:12]} --key KEY_FILE"
        signatures = f"      signatures: []  # {needed}: lines of {command}\n"
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
{signatures}      # greatest_share: 0.2
      # expires_at_utc: "2027-01-31T00:00:00Z"
      # waivers: [{{gate: NAME, reason: WHY, expires_at_utc: "2027-01-31T00:00:00Z"}}]
"""


def notices(evaluation: Evaluation, policy: Policy) -> list[str]:
    """What an approver should know before: whose word a release is, and how long it lasts."""
    tier = evaluation.card.risk_tier
    lasts = policy.tiers[tier].lasts_days
    needed = _needed(evaluation, policy)
    whose = (
        f"A release needs signatures of approvers: {needed}."
        if needed
        else "No signature is asked for: who decides is claimed in the run's config, not proven."
    )
    return [whose, f"Its risk tier is {tier}: a release expires after {lasts} days at the latest."]


def _needed(evaluation: Evaluation, policy: Policy) -> str:
    """How many signatures an approval needs in each role that needs any."""
    tier = evaluation.card.risk_tier
    counts = {role: policy.needed("approve", role, tier) for role in get_args(Role)}
    return ", ".join(f"{count} for a {role}" for role, count in counts.items() if count)
