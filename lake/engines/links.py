"""Links: from a model's sums to its scores, each in the very operations of scikit-learn, so that the bits are its own."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from lake.engines.matrix import Matrix

# What scores are of their sums: the sums themselves; a probability of one sum; probabilities of one sum for each class, which
# are weighed together, or each against all others.
LinkName = Literal["identity", "logistic", "softmax", "one_vs_rest"]
# Sums come as an array of shape (rows,), or (rows, classes).
Link = Callable[[Matrix], list[list[float]]]


def link(name: LinkName) -> Link:
    """The link of this name."""
    match name:
        case "identity":
            return identity
        case "logistic":
            return lambda sums: [[logistic(value)] for value in sums.tolist()]
        case "softmax":
            return lambda sums: softmax(sums).tolist()
        case "one_vs_rest":
            return lambda sums: _one_vs_rest(sums).tolist()


def identity(sums: Matrix) -> list[list[float]]:
    """Scores that are the sums."""
    return sums.reshape(len(sums), -1).tolist()


def logistic(value: float) -> float:
    """As scipy's `expit`: the same `exp`, of the C library."""
    try:
        return 1.0 / (1.0 + math.exp(-value))
    except OverflowError:
        return 0.0


def softmax(sums: Matrix) -> Matrix:
    """The array's order in memory decides in which order it is summed: it has to be that of the original."""
    shifted = sums - sums.max(axis=1, keepdims=True)
    np.exp(shifted, shifted)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def softmax_by_class(sums: Matrix) -> Matrix:
    """The same, added up class by class: as NumPy does where many sums lie in columns, here for one row alone too."""
    shifted = sums - sums.max(axis=1, keepdims=True)
    np.exp(shifted, shifted)
    total = shifted[:, 0].copy()
    for of_class in shifted.T[1:]:
        total += of_class
    return np.asarray(shifted / total[:, None])


def _one_vs_rest(sums: Matrix) -> Matrix:
    """Where no class has any probability, all have the same."""
    alone = np.array([[logistic(value) for value in row] for row in sums.tolist()])
    alone[~alone.any(axis=1)] = 1.0
    return np.asarray(alone / alone.sum(axis=1, keepdims=True))
