"""Two models on the same requests: the difference of their losses day by day, and its error at every look.

Rows of one day share their weather, so a day is one observation; and neighbouring days, or weeks, may go together. So the
error is the largest that blocks of one day, three days, a week or two weeks give, and as many degrees of freedom stand
behind it as there are blocks of three days.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BLOCKS = (1, 3, 7, 14)
_DAYS_FOR_ONE_DEGREE = 3
# A few bad days carry much of a difference, and what has not been seen of them is missing in the error too. On blocks of real
# days twice the chance of a wrong decision came out that went in, so this part of it is given to a test of days.
PART_OF_ALPHA = 1 / 3

Floats = npt.NDArray[np.float64]


class Looks(NamedTuple):
    """What is known after each day: an estimate, its standard error, and the degrees of freedom behind that error."""

    estimate: Floats
    error: Floats
    freedom: Floats


def paired_looks(difference: Floats, weight: Floats) -> Looks:
    """Looks after each day at the mean difference, of shape (..., days); a day counts by its weight, its number of answers.

    What one look says comes from the days up to it, for all looks and all experiments at once. The error is infinite
    until there are two blocks of a day.
    """
    weight = np.broadcast_to(np.asarray(weight, dtype=float), difference.shape)
    weights = np.cumsum(weight, axis=-1)
    estimate = np.cumsum(weight * difference, axis=-1) / weights
    number = np.arange(1, difference.shape[-1] + 1)
    variance = np.max([_block_variance(difference, weight, estimate, block) for block in BLOCKS], axis=0)
    error = np.where(number > 1, np.sqrt(np.maximum(variance, 0.0)) / weights, np.inf)
    freedom = np.maximum(1.0, number / _DAYS_FOR_ONE_DEGREE - 1)
    return Looks(estimate, error, np.broadcast_to(freedom, difference.shape))


def _block_variance(difference: Floats, weight: Floats, estimate: Floats, block: int) -> Floats:
    """The variance of the sum of all days up to each, by the overlapping blocks among them; 0 before there are two apart."""
    days = difference.shape[-1]
    number = np.arange(1, days + 1)
    if days < 2 * block:
        return np.zeros(difference.shape)
    sums, weights = _block_sums(weight * difference, block), _block_sums(weight, block)
    squares = (
        np.cumsum(sums**2, axis=-1)
        - 2 * estimate * np.cumsum(sums * weights, axis=-1)
        + estimate**2 * np.cumsum(weights**2, axis=-1)
    )
    of_one_day = squares / (np.maximum(number - block + 1, 1) * block)
    variance: Floats = of_one_day * number * number / np.maximum(number - block, 1)
    return np.where(number < 2 * block, 0.0, variance)


def _block_sums(daily: Floats, block: int) -> Floats:
    """The sum of each day and those before it in its block; 0 for days that have not enough before them."""
    total = np.cumsum(daily, axis=-1)
    sums = np.zeros(daily.shape)
    sums[..., block - 1] = total[..., block - 1]
    sums[..., block:] = total[..., block:] - total[..., :-block]
    return sums
