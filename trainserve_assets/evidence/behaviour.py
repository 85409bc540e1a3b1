"""Behaviour: what a package answers to rows that no holdout has, tried on its own engine.

Every row that the decoder lets through must get a score, and some changes must not move it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.engines import Engine, Row
from lake.evaluation import Finding
from lake.input_schema import Field, Task
from lake.package import Manifest
from trainserve_assets.evidence.holdout import Holdout, spread_positions
from trainserve_assets.examples import rows_of
from trainserve_assets.metrics import Numbers
from trainserve_assets.use_case import Invariance, UseCase

MOST_ROWS = 200
MOST_VALUES = 20
UNSEEN = "(never seen)"
# Where a field has no limit: past any quantity that it will hold.
FAR = 1e15
_ROUNDING = 1e-6
_LONGEST_SHOWN = 160


def behaviour_findings(use_case: UseCase, manifest: Manifest, engine: Engine, holdout: Holdout) -> list[Finding]:
    """Claims tried on at most `MOST_ROWS` rows of the holdout, with one field changed at a time."""
    rows = rows_of(holdout.spread(MOST_ROWS), manifest.features)
    fields = [use_case.input_schema.field(name) for name in manifest.features]
    tried: dict[str, Sequence[Row]] = {
        "the rows of the holdout are answered": rows,
        "a category never seen is answered": _changed(rows, fields, _unseen),
        "a null is answered wherever one is allowed": _changed(rows, fields, _null),
        "numbers at their limits, and beyond, are answered": _changed(rows, fields, _extremes),
    }
    answered = [_answered(claim, manifest.task, engine, changed) for claim, changed in tried.items() if changed]
    return [*answered, *(_invariant(one, manifest, engine, rows, holdout.frame[one.field]) for one in use_case.invariances)]


def _answered(claim: str, task: Task, engine: Engine, rows: Sequence[Row]) -> Finding:
    """Whether every row gets finite scores in their range; an error of the engine is an answer to none."""
    try:
        scores = np.asarray(engine.scores(rows), dtype=np.float64)
    except Exception as error:  # noqa: BLE001 - whatever a model raises is what is looked for
        found = f"{type(error).__name__}: {error}"[:_LONGEST_SHOWN]
        return Finding(topic="behaviour", claim=claim, passed=False, found=found, n=len(rows))
    strange = len(rows) - int(_in_range(task, scores).sum())
    found = f"{strange:,} of {len(rows):,} answers are not finite or out of range"
    return Finding(topic="behaviour", claim=claim, passed=not strange, found=found, n=len(rows))


def _in_range(task: Task, scores: Numbers) -> npt.NDArray[np.bool_]:
    """For each row whether its scores are finite, and, of classes, probabilities."""
    right = np.isfinite(scores).all(axis=1)
    if task != "regression":
        right = right & ((scores >= 0) & (scores <= 1)).all(axis=1)
    if task == "multiclass":
        right = right & (np.abs(scores.sum(axis=1) - 1) < _ROUNDING)
    return np.asarray(right)


def _invariant(invariance: Invariance, manifest: Manifest, engine: Engine, rows: Sequence[Row], column: pl.Series) -> Finding:
    name = invariance.field
    claim = f"another {name} moves no score by more than {invariance.tolerance:g}"
    if name not in manifest.features:
        return Finding(topic="behaviour", claim=claim, passed=True, found="the model does not use it", n=len(rows))
    known = column.drop_nulls().unique().sort()
    values = known.gather(spread_positions(known.len(), MOST_VALUES)).to_list()
    place = manifest.features.index(name)
    usual = np.asarray(engine.scores(rows), dtype=np.float64)
    moves = [np.abs(np.asarray(engine.scores(_with(rows, place, value))) - usual).max() for value in values]
    most = float(max(moves, default=0.0))
    found = f"the most is {most:.4f}, over {len(values)} of its values"
    passed = most <= invariance.tolerance
    return Finding(topic="behaviour", claim=claim, passed=passed, found=found, n=len(rows) * len(values))


def _changed(rows: Sequence[Row], fields: Sequence[Field], values_of: Callable[[Field], Sequence[Any]]) -> list[Row]:
    """The rows once for each value of each field, with that field set to it."""
    return [row for place, field in enumerate(fields) for value in values_of(field) for row in _with(rows, place, value)]


def _with(rows: Sequence[Row], place: int, value: Any) -> list[Row]:
    return [(*row[:place], value, *row[place + 1 :]) for row in rows]


def _unseen(field: Field) -> Sequence[Any]:
    return [UNSEEN] if field.type == "category" and field.unknown_category == "flag" else []


def _null(field: Field) -> Sequence[Any]:
    return [None] if field.nullable else []


def _extremes(field: Field) -> Sequence[Any]:
    """Both limits, and as far beyond each as the range is wide."""
    if field.type not in ("integer", "number"):
        return []
    low = -FAR if field.minimum is None else field.minimum
    high = FAR if field.maximum is None else field.maximum
    values = [low, high, low - (high - low), high + (high - low)]
    return [int(value) for value in values] if field.type == "integer" else [float(value) for value in values]
