"""Claims about labels, and answers whose labels have arrived: whether they are calibrated, and worth having."""

import os
from collections.abc import Iterator, Mapping
from functools import partial

from checks.calibration import answers_are_calibrated
from checks.days import LabelledDay
from checks.label_arrival import labels_arrive_as_usual
from checks.skill import answers_beat_the_base_rate
from checks.verdict import Verdict
from lake.parameters.changes import score_effects
from lake.tables import WINDOWS
from trainserve_assets.claims.seen import ERROR, WARN, Claim, Seen
from trainserve_assets.planned_shares import find_plan
from trainserve_assets.windows.judged import active_arms, aged_shares, labelled_days, served, unchanged_since
from trainserve_assets.windows.metrics import LABELLED
from trainserve_assets.windows.table import figures_by_knowledge

# Four weeks for labels to come, and as many to know how soon they do.
_LABEL_DAYS = 60


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


def _labels(seen: Seen) -> Mapping[str, Verdict]:
    table = seen.lake.table(seen.use_case.name, WINDOWS)
    return {"all arms": labels_arrive_as_usual(*aged_shares(figures_by_knowledge(table, [LABELLED], _LABEL_DAYS)))}


CLAIMS = {
    "labels_arrive_as_usual": Claim(
        _labels, WARN, "At no age have the newest days less than half of the labels that days had before at that age."
    ),
    "answers_are_calibrated": Claim(
        _calibration, ERROR, "Since its package answers on an arm, as much happens as is predicted; it may be asked every day."
    ),
    "answers_beat_the_base_rate": Claim(
        _skill, ERROR, "Over the newest four weeks whose labels have arrived, answers lose less than the base rate of training."
    ),
}


def _judged(seen: Seen) -> Iterator[tuple[str, list[LabelledDay], str]]:
    """Each active arm, the days that its package is judged by, and that package.

    They are those since it alone answers there and no parameter changed its answers; before them its holdout, unless one did.
    """
    now = served(seen.judged)
    for arm in active_arms(seen.windows):
        if arm in now:
            package, first = now[arm]
            since, unchanged = unchanged_since(seen.judged, arm, partial(_effects, seen))
            holdout_of = package if unchanged and since <= first else None
            yield arm, labelled_days(seen.judged, arm, seen.use_case.input_schema, max(first, since), holdout_of), package


def _effects(seen: Seen, version: int) -> bytes:
    """What changes scores in a version of the parameters; of one that is not known, nothing."""
    plan = find_plan(seen.lake.store, seen.use_case.name, version, os.environ)
    return b"" if plan is None else score_effects(plan)
