"""Claims about labels, and answers whose labels have arrived: whether they are calibrated, and worth having."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

from checks.calibration import answers_are_calibrated
from checks.days import LabelledDay
from checks.label_arrival import labels_arrive_as_usual
from checks.skill import answers_beat_the_base_rate
from checks.slices import base_rate_beaten_in_every_slice, calibrated_in_every_slice
from checks.verdict import Verdict
from lake.parameters.changes import score_effects
from lake.tables import WINDOWS
from trainserve_assets.claims.seen import ERROR, WARN, Claim, Seen
from trainserve_assets.planned_shares import find_plan
from trainserve_assets.windows.judged import active_arms, aged_shares, labelled_days, served, sliced_days, unchanged_since
from trainserve_assets.windows.metrics import LABELLED
from trainserve_assets.windows.picture import RATIO, SKILL, Drawn, slices_picture, windows_picture
from trainserve_assets.windows.slices import sliced_fields
from trainserve_assets.windows.table import figures_by_knowledge

# Four weeks for labels to come, and as many to know how soon they do.
_LABEL_DAYS = 60
_NO_MEAN = Verdict(passed=True, reason="an answer is one score for each class: there is no mean to be calibrated")
_NO_SLICES = Verdict(
    passed=True, reason="the use case has no `slices` whose values are logged and few: there is nothing to judge"
)

_Sliced = Callable[[Mapping[str, Sequence[LabelledDay]], Sequence[LabelledDay], float, int], Verdict]


def _calibration(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    if seen.use_case.input_schema.task == "multiclass":
        return {"all arms": _NO_MEAN}
    verdicts = {}
    for arm, judged in _judged(seen):
        reference = seen.references.of(judged.package)
        training = [] if reference is None else reference.label_means
        days = _whole(seen, arm, judged)
        verdicts[arm] = answers_are_calibrated(days, training, limits.false_alarms_in_a_year, limits.fewest_rows)
    return verdicts


def _calibration_by_slice(seen: Seen) -> Mapping[str, Verdict]:
    if seen.use_case.input_schema.task == "multiclass":
        return {"all arms": _NO_MEAN}
    return _by_slice(seen, calibrated_in_every_slice)


def _by_slice(seen: Seen, decide: _Sliced) -> Mapping[str, Verdict]:
    limits, schema = seen.use_case.monitoring, seen.use_case.input_schema
    if not (fields := sliced_fields(schema, seen.use_case.slices)):
        return {"all arms": _NO_SLICES}
    verdicts = {}
    for arm, judged in _judged(seen):
        slices = sliced_days(seen.judged, arm, schema, judged.since, judged.holdout_of, fields)
        whole = _whole(seen, arm, judged)
        verdicts[arm] = decide(slices, whole, limits.false_alarms_in_a_year, limits.fewest_rows)
    return verdicts


def _skill(seen: Seen) -> Mapping[str, Verdict]:
    limits = seen.use_case.monitoring
    return {
        arm: answers_beat_the_base_rate(_whole(seen, arm, judged), limits.false_alarms_in_a_year, limits.fewest_rows)
        for arm, judged in _judged(seen)
    }


def _skill_by_slice(seen: Seen) -> Mapping[str, Verdict]:
    return _by_slice(seen, base_rate_beaten_in_every_slice)


def _days_picture(seen: Seen) -> str | None:
    return windows_picture(seen.windows)


def _slices_picture(drawn: Drawn, seen: Seen) -> str | None:
    return slices_picture(seen.windows, seen.use_case.input_schema, seen.use_case.slices, drawn)


def _labels(seen: Seen) -> Mapping[str, Verdict]:
    table = seen.lake.table(seen.use_case.name, WINDOWS)
    return {"all arms": labels_arrive_as_usual(*aged_shares(figures_by_knowledge(table, [LABELLED], _LABEL_DAYS)))}


CLAIMS = {
    "labels_arrive_as_usual": Claim(
        _labels, WARN, "At no age have the newest days less than half of the labels that days had before at that age."
    ),
    "answers_are_calibrated": Claim(
        _calibration,
        ERROR,
        "Since its package answers on an arm, as much happens as is predicted; it may be asked every day.",
        picture=_days_picture,
    ),
    "calibrated_in_every_slice": Claim(
        _calibration_by_slice,
        ERROR,
        "In each slice of the evaluation as much happens as is predicted, or it is off by no more than all other answers are.",
        picture=partial(_slices_picture, RATIO),
    ),
    "answers_beat_the_base_rate": Claim(
        _skill, ERROR, "Over the newest four weeks whose labels have arrived, answers lose less than the base rate of training."
    ),
    "base_rate_beaten_in_every_slice": Claim(
        _skill_by_slice,
        ERROR,
        "In no slice of the evaluation do answers lose more than the base rate of training, unless all other answers do so too.",
        picture=partial(_slices_picture, SKILL),
    ),
}


class _Judged(NamedTuple):
    """The package that an arm is judged by: from which day on, and before it by whose holdout."""

    package: str
    since: date
    holdout_of: str | None


def _judged(seen: Seen) -> Iterator[tuple[str, _Judged]]:
    """Each active arm, and what it is judged by.

    Its days are those since the package alone answers there and no parameter changed its answers; before them the holdout, unless
    one did.
    """
    now = served(seen.judged)
    for arm in active_arms(seen.windows):
        if arm in now:
            package, first = now[arm]
            since, unchanged = unchanged_since(seen.judged, arm, partial(_effects, seen))
            yield arm, _Judged(package, max(first, since), package if unchanged and since <= first else None)


def _whole(seen: Seen, arm: str, judged: _Judged) -> list[LabelledDay]:
    return labelled_days(seen.judged, arm, seen.use_case.input_schema, judged.since, judged.holdout_of)


def _effects(seen: Seen, version: int) -> bytes:
    """What changes scores in a version of the parameters; of one that is not known, nothing."""
    plan = find_plan(seen.lake.store, seen.use_case.name, version, os.environ)
    return b"" if plan is None else score_effects(plan)
