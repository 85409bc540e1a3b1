"""The observed asset `predictors`: what each predictor really serves, and the check that it is what was released."""

import time
from collections.abc import Sequence
from datetime import datetime, timezone

import dagster as dg
import msgspec

from checks.liveness import Served, predictors_serve_what_was_released
from checks.verdict import Verdict
from lake.errors import VerificationError
from lake.tables import RELEASE
from trainserve_assets.predictors import Predictors
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result

PREDICTORS = "predictors"
CHECK = "predictors_serve_what_was_released"
REPEAT_S = 600.0


class _Cursor(msgspec.Struct, frozen=True):
    """What was last reported, and when: the same is reported again only every ten minutes."""

    reported: str = ""
    at_s: float = 0.0


def predictors_definitions(use_case: UseCase) -> dg.Definitions:
    """The predictors of a use case, the sensor that asks them every 30 seconds, and the check."""
    key = dg.AssetKey([use_case.name, PREDICTORS])
    spec = dg.AssetSpec(
        key=key,
        deps=[dg.AssetKey([use_case.name, RELEASE])],
        group_name="serving",
        owners=[use_case.owner],
        kinds={"python"},
        description=(
            "The servers that answer, one or more for each live arm, as they themselves say: package, release and approver. "
            "They follow the signed ledger, never Dagster; here they are only watched."
        ),
    )

    @dg.asset_check(
        asset=key,
        name=CHECK,
        description="Each predictor serves what the signed ledger shows live on its arm, and each live arm has a predictor.",
    )
    def released(lake: LakeResource, predictors: Predictors) -> dg.AssetCheckResult:
        return check_result(
            {"predictors": judge(lake, use_case.name, predictors.served(use_case.name))}, dg.AssetCheckSeverity.ERROR
        )

    @dg.sensor(
        name=f"{use_case.name}_predictors",
        description="Asks every predictor what it serves, and holds it against the ledger.",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def predictors_sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource, predictors: Predictors
    ) -> dg.SensorResult | dg.SkipReason:
        served = predictors.served(use_case.name)
        if not served:
            return dg.SkipReason("no predictor is named in TRAINSERVE_PREDICTORS")
        verdict = judge(lake, use_case.name, served)
        state = msgspec.json.encode([served, verdict.passed]).decode()
        cursor = msgspec.json.decode(context.cursor or "{}", type=_Cursor)
        if state == cursor.reported and time.time() - cursor.at_s < REPEAT_S:
            return dg.SkipReason("they serve what they served when it was last reported")
        return dg.SensorResult(
            asset_events=[_observation(key, served), _evaluation(key, verdict)],
            cursor=msgspec.json.encode(_Cursor(state, time.time())).decode(),
        )

    return dg.Definitions(assets=[spec], asset_checks=[released], sensors=[predictors_sensor])


def judge(lake: LakeResource, use_case: str, served: Sequence[Served]) -> Verdict:
    """Hold what is served against the ledger, which is verified again for it."""
    try:
        entries = lake.ledger(use_case).entries
    except VerificationError as error:
        seen = len(served)
        return Verdict(passed=False, reason=str(error), observed=float(seen), limit=0.0, rows=seen, remedy="fix the source")
    return predictors_serve_what_was_released(served, entries, datetime.now(timezone.utc))


def _observation(key: dg.AssetKey, served: Sequence[Served]) -> dg.AssetObservation:
    records = [
        dg.TableRecord(
            {
                "arm": one.arm,
                "address": one.url,
                "model version": one.model_version or "",
                "package": (one.package_digest or "")[:12],
                "release": "" if one.release_seq is None else str(one.release_seq),
                "approver": one.approver or "",
                "problem": one.problem or "",
            }
        )
        for one in served
    ]
    serving = sum(one.package_digest is not None for one in served)
    return dg.AssetObservation(
        asset_key=key, metadata={"served": dg.MetadataValue.table(records), "serving": serving, "predictors": len(served)}
    )


def _evaluation(key: dg.AssetKey, verdict: Verdict) -> dg.AssetCheckEvaluation:
    result = check_result({"predictors": verdict}, dg.AssetCheckSeverity.ERROR)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=CHECK,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )
