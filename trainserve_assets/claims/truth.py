"""Claims about answers whose labels have arrived: whether they are calibrated, and worth having."""

from collections.abc import Iterator, Mapping

from checks.calibration import answers_are_calibrated
from checks.days import LabelledDay
from checks.skill import answers_beat_the_base_rate
from checks.verdict import Verdict
from trainserve_assets.claims.seen import ERROR, Claim, Seen
from trainserve_assets.logged import read_predictions
from trainserve_assets.windows.judged import active_arms, labelled_days, served
from trainserve_assets.windows.table import READ_DAYS


def _calibration(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    if seen.use_case.input_schema.task == "multiclass":
        reason = "an answer is one score for each class: there is no mean to be calibrated"
        return {"all arms": Verdict(passed=True, reason=reason)}
    verdicts = {}
    for arm, days, package in _judged(seen):
        reference = seen.references.of(package)
        training = [] if reference is None else reference.label_means
        verdicts[arm] = answers_are_calibrated(days, training, limits.false_alarms_in_a_year, limits.fewest_rows)
    return verdicts


def _skill(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    return {
        arm: answers_beat_the_base_rate(days, limits.false_alarms_in_a_year, limits.fewest_rows) for arm, days, _ in _judged(seen)
    }


CLAIMS = {
    "answers_are_calibrated": Claim(
        _calibration, ERROR, "Since its package answers on an arm, as much happens as is predicted; it may be asked every day."
    ),
    "answers_beat_the_base_rate": Claim(
        _skill, ERROR, "Over the newest four weeks whose labels have arrived, answers lose less than the base rate of training."
    ),
}


def _judged(seen: Seen) -> Iterator[tuple[str, list[LabelledDay], str]]:
    """Each active arm, its labelled days since its package answers there, and that package."""
    now = served(read_predictions(seen.lake.home.lake, seen.use_case.name, READ_DAYS))
    for arm in active_arms(seen.windows):
        if arm in now:
            days = labelled_days(seen.windows, arm, seen.use_case.input_schema, now[arm].first)
            yield arm, days, now[arm].package_digest
