"""Two models on requests that were shared out at random: the difference of their losses, and its error, by what was randomised.

The difference is taken inside each day, so that a day's weather moves both arms alike. A unit, as a routing key, keeps its
arm, so its answers go together; and the challenger may do better on some days than on others.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


class Difference(NamedTuple):
    """The challenger's mean loss less the champion's, its standard error, and that of these very days alone."""

    estimate: float
    error: float
    error_on_these_days: float


def unit_difference(unit: Codes, day: Codes, challenger: npt.NDArray[np.bool_], loss: Floats) -> Difference:
    """The difference inside days, weighted by their answers; units and days are numbered from 0, and every day has both arms.

    The error is clustered by unit, and by day besides where that makes it larger; `error_on_these_days` by unit alone.
    """
    answers = np.bincount(day)
    share = np.bincount(day, challenger) / answers
    challenger_mean = np.bincount(day, loss * challenger) / np.bincount(day, challenger)
    champion_mean = np.bincount(day, loss * ~challenger) / np.bincount(day, ~challenger)
    effect = (challenger_mean - champion_mean)[day]
    estimate = float(effect.mean())
    moved = np.where(challenger, (loss - challenger_mean[day]) / share[day], -(loss - champion_mean[day]) / (1 - share[day]))
    influence = moved + effect - estimate
    both = np.unique(unit * len(answers) + day, return_inverse=True)[1]
    by_unit, by_day, by_both = (_clustered(influence, codes) for codes in (unit, day, both))
    these_days = np.sqrt(_clustered(moved, unit)) / len(loss)
    return Difference(estimate, float(np.sqrt(max(by_unit, by_unit + by_day - by_both))) / len(loss), float(these_days))


def _clustered(influence: Floats, cluster: Codes) -> float:
    """The variance of the sum of influences when those of one cluster go together."""
    totals = np.bincount(cluster, influence)
    number = int(np.count_nonzero(np.bincount(cluster)))
    return float(totals @ totals) * number / max(number - 1, 1)
