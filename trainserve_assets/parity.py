"""Parity: whether an engine answers as the trained model itself does, to the bit, on every row that may tell them apart.

Rows as they come meet few of the places where two engines part. So each value of each feature at which an answer may change
is put into rows that came: nulls, categories that training never saw, both sides of every border of every tree, and the
ends of the numbers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from lake.columns import Columns
from lake.engines import Borders, ColumnarEngine, Engine, Row
from lake.package import Manifest, exact

UNSEEN = "(never seen)"
_TEXTS = (UNSEEN, "", "nan", "None", "0", "á\u0301\U0001f6eb", "x" * 1_000)
_INTEGERS = (0, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
_NUMBERS = (0.0, -0.0, 5e-324, 2.0**-126, 16_777_217.0, 1e300, -1e300)
_ALONE = 200  # rows that are also asked for alone
_TOGETHER = 50  # rows whose columns are asked for; so few that most have no null, and so are arrays
_BASES = 7  # rows that edges are put into; no divisor of the usual numbers of edges

Predict = Callable[[Sequence[Row]], list[list[float]]]


def edge_rows(rows: Sequence[Row], manifest: Manifest, borders: Borders) -> list[Row]:
    """Rows at the edges of a model, made of some that came. Each differs from one of them by one value."""
    bases = cycle(list(rows[position]) for position in np.linspace(0, len(rows) - 1, min(_BASES, len(rows))).astype(int))
    made: list[Row] = []
    for position, name in enumerate(manifest.features):
        for value in _edges(manifest.categories.get(name), {type(row[position]) for row in rows}, borders.get(position, ())):
            row = list(next(bases))
            row[position] = value
            made.append(tuple(row))
    return made


def differing(engine: Engine, features: Sequence[str], rows: Sequence[Row], expected: Sequence[Sequence[float]]) -> int:
    """How many of the rows it answers otherwise than expected, by a single bit: alone, among others, or as columns."""
    truth = [exact(scores) for scores in expected]
    different = _apart(engine.scores(rows), truth)
    if isinstance(engine, ColumnarEngine):
        for start in range(0, len(rows), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            found = engine.scores_of_columns(Columns.of_rows(features, rows[part]))
            different |= {start + number for number in _apart(found, truth[part])}
    for number in np.linspace(0, len(rows) - 1, min(_ALONE, len(rows))).astype(int).tolist():
        if exact(engine.scores([rows[number]])[0]) != truth[number]:
            different.add(number)
    return len(different)


def _apart(found: Sequence[Sequence[float]], truth: Sequence[tuple[str, ...]]) -> set[int]:
    return {number for number, (one, other) in enumerate(zip(found, truth, strict=True)) if exact(one) != other}


def _edges(categories: Sequence[str] | None, types: set[type], borders: Sequence[float]) -> Iterator[Any]:
    yield None
    if categories is not None:
        yield from categories
        yield from _TEXTS
    if bool in types:
        yield from (False, True)
    if int in types:
        yield from _INTEGERS
        yield from sorted({whole for border in borders if math.isfinite(border) for whole in _around(border)})
    if float in types:
        yield from _NUMBERS
        for border in filter(math.isfinite, borders):
            yield from _beside(border)


def _around(border: float) -> tuple[int, int]:
    """The whole numbers on both sides, or the border itself and the next."""
    return math.floor(border), math.floor(border) + 1


def _beside(border: float) -> Iterator[float]:
    """The number, and the nearest on both sides as a double and as a single; what is not finite never reaches a model."""
    yield border
    for towards in (-math.inf, math.inf):
        yield math.nextafter(border, towards)
        with np.errstate(over="ignore"):
            single = float(np.nextafter(np.float32(border), np.float32(towards)))
        if math.isfinite(single):
            yield single
