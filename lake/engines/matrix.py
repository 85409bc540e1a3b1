"""The matrix of float64 that trees and pipelines take: a category is a number that stands for it, a null number NaN."""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.columns import Column, Columns

Matrix = npt.NDArray[np.float64]

# What makes a category a number, by the name of its feature.
Codes = Mapping[str, Callable[[str | None], float]]


def matrix_of(columns: Columns, features: Sequence[str], codes: Codes) -> Matrix:
    """A row for each of the columns', a column for each feature."""
    matrix = np.empty((len(columns), len(features)), dtype=np.float64)
    for position, name in enumerate(features):
        code, column = codes.get(name), columns[name]
        if code is not None:
            matrix[:, position] = _packed([*map(code, columns.values(name))])
        else:
            matrix[:, position] = numbers(column)
    return matrix


def numbers(column: Column) -> Matrix:
    """A column of numbers or flags."""
    return _packed(column) if isinstance(column, list) else column.astype(np.float64, copy=False)


def _packed(values: list[Any]) -> Matrix:
    """As `np.array(values, np.float64)`, which takes twice as long."""
    packed = struct.Struct(f"{len(values)}d").pack
    try:
        data = packed(*values)
    except struct.error:  # a null
        data = packed(*[math.nan if value is None else value for value in values])
    return np.frombuffer(data)
