"""Looking as often as one likes, without an end: asymptotic confidence sequences (Waudby-Smith and others, arXiv 2103.06476)."""

import numpy as np
import numpy.typing as npt

TUNED_FOR = 28
_SMALLEST_TAIL = 1e-300

Floats = npt.NDArray[np.float64]


def sequence_factor(observations: npt.ArrayLike, alpha: float, tuned_for: float = TUNED_FOR) -> Floats:
    """How many standard errors a sequence is wide on each side after so many observations, for all looks together.

    It is narrowest, for what can be had, after `tuned_for` observations.
    """
    tuning = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / tuned_for
    spread = np.asarray(observations, dtype=float) * tuning
    factor: Floats = np.sqrt(2 * (spread + 1) / spread * np.log(np.sqrt(spread + 1) / alpha))
    return factor


def with_freedom(normal: npt.ArrayLike, freedom: npt.ArrayLike) -> Floats:
    """The point of Student's distribution beyond which as little lies as beyond this one of the normal distribution."""
    from scipy.special import ndtr, stdtrit

    points = np.asarray(normal, dtype=float)
    tail = np.maximum(ndtr(-np.abs(points)), _SMALLEST_TAIL)
    return np.asarray(-np.sign(points) * stdtrit(np.asarray(freedom, dtype=float), tail))
