"""Labelled days: what the decisions about answers are made of.

Rows of one day are not independent, a storm delays all its flights, and neither are neighbouring days. So the unit of
every statement about answers is the day, and its errors come from whole days, never from rows.
"""

from collections.abc import Sequence
from datetime import date

import msgspec
import numpy as np
import numpy.typing as npt

FEWEST_DAYS = 7
MATURE_SHARE = 0.75

Floats = npt.NDArray[np.float64]


class LabelledDay(msgspec.Struct, frozen=True, kw_only=True):
    """One day's labelled answers: `n` of them, the share of all answers that they are, and means over them.

    `loss` is the mean loss of the answers, and `base_loss` that of always answering what was usual in training.
    `predicted` and `observed` are the mean score and the mean label, 0 where the label is a class.
    """

    day: date
    n: int
    labelled_share: float
    loss: float
    base_loss: float
    predicted: float = 0.0
    observed: float = 0.0


def matured(days: Sequence[LabelledDay]) -> list[LabelledDay]:
    """The days, in order, whose labels have mostly arrived; a day that has only its early labels would mislead.

    Not every answer ever gets a label, so a day is measured against the median day: it has matured when its labelled
    share is at least three quarters of the median share; a day of cancellations stays in.
    """
    if not days:
        return []
    usual = float(np.median([day.labelled_share for day in days]))
    return sorted((day for day in days if day.labelled_share >= MATURE_SHARE * usual and day.n), key=lambda day: day.day)


def counts(days: Sequence[LabelledDay]) -> Floats:
    """How many labelled answers each day has."""
    return np.array([day.n for day in days], dtype=np.float64)


def standard_error_of_total(daily: Floats) -> float:
    """The standard error of the sum of daily values around their mean, when neighbouring days may go together.

    Newey and West's estimator with Bartlett weights; the usual lag, which is 3 for a month.
    """
    return float(_standard_errors(daily))


def total_with_interval(daily: Floats, level: float = 0.95) -> tuple[float, float, float]:
    """The sum of daily values and its interval, by Student's distribution with one degree of freedom less than days."""
    total, low, high = totals_with_intervals(daily, level)
    return float(total), float(low), float(high)


def totals_with_intervals(daily: Floats, level: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """The same of many series of as many days, of shape (..., days)."""
    from scipy.special import stdtrit

    total: Floats = daily.sum(axis=-1)
    width = float(stdtrit(daily.shape[-1] - 1, (1 + level) / 2)) * _standard_errors(daily)
    return total, total - width, total + width


def _standard_errors(daily: Floats) -> Floats:
    number = daily.shape[-1]
    centred = daily - daily.mean(axis=-1, keepdims=True)
    lags = int(4 * (number / 100) ** (2 / 9))
    variance = (centred * centred).sum(axis=-1)
    for lag in range(1, lags + 1):
        variance = variance + 2 * (1 - lag / (lags + 1)) * (centred[..., lag:] * centred[..., :-lag]).sum(axis=-1)
    errors: Floats = np.sqrt(np.maximum(variance, 0.0) * number / (number - 1))
    return errors
