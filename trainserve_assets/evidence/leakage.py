"""Leakage: what a model could know only afterwards, shown by its fields' names, by each field alone, and by another split.

A feature that tells the label almost by itself, and a score that falls once whole days are held out, are the two
traces that a field from the future leaves.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.engines import Row
from lake.evaluation import Finding
from lake.input_schema import InputSchema
from trainserve_assets.evidence.holdout import Holdout, rows_at
from trainserve_assets.examples import rows_of
from trainserve_assets.metrics import LOSS, Numbers, Spread, measure
from trainserve_assets.trainers import Lesson, train
from trainserve_assets.training import lesson_of
from trainserve_assets.use_case import Candidate, UseCase

Codes = npt.NDArray[np.intp]

# A single field that ranks the labels this well, or explains so much of them, is the label in other words.
GIVES_AWAY = 0.99
_BINS = 20

# What the two trainings of `random_split_gap` may cost: so many rows each, and no more rounds of boosting than this.
GAP_ROWS = 10_000
GAP_ROUNDS = 100
_ROUNDS = {"catboost": "iterations", "hist_gradient_boosting": "max_iter"}


def alone(use_case: UseCase, holdout: Holdout) -> dict[str, float]:
    """What each feature tells of the label by itself: it is scored by the mean label of its value, or of its bin.

    The means are learnt before the holdout, and judged on it by AUC (of classes, each against the rest, by their shares)
    or R2 (of values). A feature is left out where the holdout has one label alone.
    """
    told = {name: _told(use_case.input_schema, holdout, name) for name in use_case.features}
    return {name: value for name, value in told.items() if value is not None}


def leakage_findings(use_case: UseCase, features: tuple[str, ...], holdout: Holdout, told: Mapping[str, float]) -> list[Finding]:
    """Claims about the features of one model; `told` is what each tells `alone`."""
    findings = []
    if use_case.forbidden:
        used = sorted(set(features) & set(use_case.forbidden))
        claim = f"no feature is among the {len(use_case.forbidden)} forbidden fields"
        findings.append(_finding(claim, used, "none is", len(features)))
    labelled = pl.concat([holdout.known, holdout.frame])
    copies = [name for name in features if _repeats(labelled[name], labelled["label"], use_case.input_schema)]
    findings.append(_finding("no feature is the label", copies, "none is", labelled.height))
    known = {name: told[name] for name in features if name in told}
    if known:
        measure_name = "R2" if use_case.input_schema.task == "regression" else "AUC"
        given = sorted(name for name, value in known.items() if value >= GIVES_AWAY)
        best = max(known, key=lambda name: (known[name], name))
        claim = f"no feature alone gives the label away ({measure_name} below {GIVES_AWAY})"
        findings.append(_finding(claim, given, f"the most is {known[best]:.3f}, by {best}", holdout.frame.height))
    return findings


def random_split_gap(use_case: UseCase, candidate: Candidate, holdout: Holdout) -> Spread | None:
    """What a random split would have claimed too much: the headline loss with it, minus that of the split by time.

    The candidate's trainer learns twice: from rows before the holdout, and from as many drawn at random from these and
    half of the holdout. Both are judged on the other half, so that the gap is not one between months. Below zero: rows
    of the same days give away what days to come will not. At most `GAP_ROWS` rows and `GAP_ROUNDS` rounds each.
    None where the rows that were drawn lack a class.
    """
    task = use_case.input_schema.task
    drawn = np.random.default_rng(0).permutation(holdout.frame.height)
    half = drawn.size // 2
    judged = np.sort(drawn[:half][:GAP_ROWS])
    mixed = pl.concat([holdout.known, rows_at(holdout.frame, np.sort(drawn[half:]))])
    rows = min(holdout.known.height, GAP_ROWS)
    lessons = [lesson_of(use_case, frame.sample(rows, seed=0)) for frame in (mixed, holdout.known)]
    if not judged.size or any(set(lesson.labels) != set(holdout.known_labels) for lesson in lessons if task != "regression"):
        return None
    questions = rows_of(rows_at(holdout.frame, judged), use_case.features)
    at_random, by_time = (
        measure(task, holdout.sample(_answers(candidate, lesson, questions), judged))[LOSS[task]] for lesson in lessons
    )
    return at_random.minus(by_time)


def _answers(candidate: Candidate, lesson: Lesson, questions: Sequence[Row]) -> Numbers:
    """The scores of a quick training, shape (rows, 1 or classes)."""
    parameters = dict(candidate.parameters)
    rounds = _ROUNDS.get(candidate.trainer)
    if rounds is not None:
        parameters[rounds] = min(parameters.get(rounds, GAP_ROUNDS), GAP_ROUNDS)
    trained = train(candidate.trainer, lesson, parameters, candidate.seed)
    return np.asarray(trained.predict(questions), dtype=np.float64)


def _told(schema: InputSchema, holdout: Holdout, name: str) -> float | None:
    from sklearn.metrics import r2_score, roc_auc_score

    known, held = _codes(holdout.known[name], holdout.frame[name])
    if schema.task == "regression":
        return float(r2_score(holdout.labels, _means(known, held, holdout.known_labels)))
    found, shares = [], []
    for label in range(len(schema.classes)) if schema.task == "multiclass" else (1,):
        positive = holdout.labels == label
        if 0 < positive.sum() < positive.size:
            means = _means(known, held, (holdout.known_labels == label).astype(np.float64))
            found.append(float(roc_auc_score(positive, means)))
            shares.append(positive.mean())
    return float(np.average(found, weights=shares)) if found else None


def _codes(known: pl.Series, held: pl.Series) -> tuple[Codes, Codes]:
    """The values of a feature as whole numbers: its categories, or its bins of equally many known rows; null is one."""
    if not known.dtype.is_numeric():
        values = {value: code for code, value in enumerate(known.unique().sort(nulls_last=True))}
        known_codes, held_codes = (
            np.array([values.get(one, len(values)) for one in column], np.intp) for column in (known, held)
        )
        return known_codes, held_codes
    present = known.drop_nulls().to_numpy()
    edges = np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1])) if present.size else np.empty(0)
    return _binned(known, edges), _binned(held, edges)


def _binned(column: pl.Series, edges: Numbers) -> Codes:
    bins = np.searchsorted(edges, column.cast(pl.Float64).fill_null(0.0).to_numpy(), side="right")
    return np.where(column.is_null().to_numpy(), edges.size + 1, bins)


def _means(known: Codes, held: Codes, labels: Numbers) -> Numbers:
    """For each held row the mean of the known labels with its code; of all of them where its code is not known."""
    size = int(max(known.max(), held.max())) + 1
    counts, sums = np.bincount(known, minlength=size), np.bincount(known, weights=labels, minlength=size)
    means: Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), labels.mean())
    return means[held]


def _repeats(feature: pl.Series, label: pl.Series, schema: InputSchema) -> bool:
    """Whether a feature is the label: the same values, or, of classes, one value for each."""
    if schema.task == "regression":
        return feature.dtype.is_numeric() and feature.cast(pl.Float64).eq_missing(label).all()
    pairs = pl.DataFrame({"feature": feature, "label": label}).n_unique()
    return pairs == feature.n_unique() == label.n_unique() > 1


def _finding(claim: str, against: Sequence[str], otherwise: str, n: int) -> Finding:
    return Finding(topic="leakage", claim=claim, passed=not against, found=", ".join(against) or otherwise, n=n)
