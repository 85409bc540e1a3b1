"""The asset checks on `windows`: one for each claim."""

from datetime import datetime, timezone
from functools import partial

import dagster as dg

from checks.verdict import Verdict
from lake.tables import DATASET, PREDICTIONS, WINDOWS
from trainserve_assets.automation import at_each_tick
from trainserve_assets.claims import answers, governance, inputs, traffic, truth
from trainserve_assets.claims.seen import Claim, Seen
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result

_NOTHING = Verdict(passed=False, reason="no arm has answered yet")
CLAIMS: dict[str, Claim] = {**traffic.CLAIMS, **answers.CLAIMS, **truth.CLAIMS, **inputs.CLAIMS, **governance.CLAIMS}


def window_checks(use_case: UseCase) -> list[dg.AssetChecksDefinition]:
    """The checks of a use case. None blocks: a check tells people, and stops nothing that answers."""
    return [_check(use_case, name, claim) for name, claim in CLAIMS.items()]


def _check(use_case: UseCase, name: str, claim: Claim) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=dg.AssetKey([use_case.name, WINDOWS]),
        name=name,
        description=claim.words,
        automation_condition=None if claim.cron is None else at_each_tick(claim.cron),
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        seen = Seen(lake, use_case, datetime.now(timezone.utc))
        with lake.naming_files(use_case.name, WINDOWS, PREDICTIONS, DATASET):
            picture = None if claim.picture is None else partial(claim.picture, seen)
            return check_result(claim.decide(seen) or {"arms": _NOTHING}, claim.severity, picture)

    return check
