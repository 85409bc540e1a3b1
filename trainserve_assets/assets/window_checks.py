"""The asset checks on `windows`: claims about volume, answers, inputs, and about what answered."""

from collections.abc import Callable, Iterator, Mapping

import dagster as dg
import polars as pl

from checks.calibration import answers_are_calibrated
from checks.days import LabelledDay
from checks.drift import inputs_look_like_training
from checks.liveness import every_logged_digest_was_live
from checks.skill import answers_beat_the_base_rate
from checks.verdict import Verdict
from checks.volume import volume_is_as_expected
from lake.errors import VerificationError
from lake.tables import DATASET, WINDOWS
from trainserve_assets.answerers import answerers
from trainserve_assets.logged import read_predictions
from trainserve_assets.resources import LakeResource
from trainserve_assets.use_case import UseCase
from trainserve_assets.verdicts import check_result
from trainserve_assets.windows.judged import (
    JUDGED_DAYS,
    active_arms,
    example_hours,
    feature_days,
    labelled_days,
    logged_hours,
    served,
)
from trainserve_assets.windows.reference import References
from trainserve_assets.windows.table import READ_DAYS, newest_windows

_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
_NOTHING = Verdict(passed=False, reason="no arm has answered yet")

# From the lake, a use case and its newest windows: a verdict for each thing that is judged, by its name.
Decide = Callable[[LakeResource, UseCase, pl.DataFrame], Mapping[str, Verdict]]


def window_checks(use_case: UseCase) -> list[dg.AssetChecksDefinition]:
    """The checks of a use case. None blocks: a check tells people, and stops nothing that answers."""
    return [_check(use_case, name, decide, severity, description) for name, (decide, severity, description) in _CLAIMS.items()]


def _volume(lake: LakeResource, use_case: UseCase, windows: pl.DataFrame) -> Mapping[str, Verdict]:
    hours = logged_hours(windows)
    dataset = lake.table(use_case.name, DATASET)
    examples = example_hours(dataset.scan(), use_case.input_schema) if dataset.exists() else hours.clear()
    return {"all arms": volume_is_as_expected(hours, examples, use_case.monitoring.volume_deviations)}


def _calibration(lake: LakeResource, use_case: UseCase, windows: pl.DataFrame) -> Mapping[str, Verdict]:
    references = References(lake.store, use_case.input_schema)
    limits = use_case.monitoring
    if use_case.input_schema.task == "multiclass":
        return {
            "all arms": Verdict(passed=True, reason="an answer is one score for each class: there is no mean to be calibrated")
        }
    verdicts = {}
    for arm, days, package in _judged(lake, use_case, windows):
        reference = references.of(package)
        training = [] if reference is None else reference.label_means
        verdicts[arm] = answers_are_calibrated(days, training, limits.false_alarms_in_a_year, limits.fewest_rows)
    return verdicts


def _skill(lake: LakeResource, use_case: UseCase, windows: pl.DataFrame) -> Mapping[str, Verdict]:
    limits = use_case.monitoring
    return {
        arm: answers_beat_the_base_rate(days, limits.false_alarms_in_a_year, limits.fewest_rows)
        for arm, days, _ in _judged(lake, use_case, windows)
    }


def _judged(lake: LakeResource, use_case: UseCase, windows: pl.DataFrame) -> Iterator[tuple[str, list[LabelledDay], str]]:
    """Each active arm, its labelled days since its package answers there, and that package."""
    now = served(read_predictions(lake.home.lake, use_case.name, READ_DAYS))
    for arm in active_arms(windows):
        if arm in now:
            yield arm, labelled_days(windows, arm, use_case.input_schema, now[arm].first), now[arm].package_digest


def _drift(_lake: LakeResource, use_case: UseCase, windows: pl.DataFrame) -> Mapping[str, Verdict]:
    return {
        arm: inputs_look_like_training(feature_days(windows, arm), use_case.monitoring.fewest_rows)
        for arm in active_arms(windows)
    }


def _liveness(lake: LakeResource, use_case: UseCase, _windows: pl.DataFrame) -> Mapping[str, Verdict]:
    found = answerers(read_predictions(lake.home.lake, use_case.name, JUDGED_DAYS))
    try:
        entries = lake.ledger(use_case.name).entries
    except VerificationError as error:
        return {"all arms": Verdict(passed=False, reason=str(error), observed=float(len(found)), limit=0.0)}
    return {"all arms": every_logged_digest_was_live(found, entries)}


_CLAIMS: dict[str, tuple[Decide, dg.AssetCheckSeverity, str]] = {
    "volume_is_as_expected": (
        _volume,
        _WARN,
        "Each hour of the newest logged week has the rows that are usual for its hour of the week.",
    ),
    "answers_are_calibrated": (
        _calibration,
        _ERROR,
        "Since its package answers on an arm, as much happens as is predicted; it may be asked every day.",
    ),
    "answers_beat_the_base_rate": (
        _skill,
        _ERROR,
        "Over the newest four weeks whose labels have arrived, answers lose less than the base rate of training.",
    ),
    "inputs_look_like_training": (
        _drift,
        _WARN,
        "In the newest week no input is further from training than single days of training are.",
    ),
    "every_logged_digest_was_live": (
        _liveness,
        _ERROR,
        "Whatever answered in the newest four weeks was live on its arm, by the signed ledger, while it did.",
    ),
}


def _check(
    use_case: UseCase, name: str, decide: Decide, severity: dg.AssetCheckSeverity, description: str
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=dg.AssetKey([use_case.name, WINDOWS]), name=name, description=description)
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        windows = newest_windows(lake.table(use_case.name, WINDOWS))
        return check_result(decide(lake, use_case, windows) or {"arms": _NOTHING}, severity)

    return check
