"""Whether inputs look like those of training: the population stability index against its own null.

On unchanged data the index depends on how many rows and bins there are, and on how much one day differs from the next
anyway; and neighbouring days share their weather and their season. So its limit is not a rule of thumb but what weeks drawn from
training reach themselves.
"""

from collections.abc import Sequence
from datetime import date

import msgspec
import numpy as np
import numpy.typing as npt

from checks.verdict import Verdict

JUDGED_DAYS = 7
_PRIOR = 0.5
_DRAWS = 1_000
_GRID = 1.25
_FEWEST_WEEKS = 4

Counts = npt.NDArray[np.int64]


class FeatureDay(msgspec.Struct, frozen=True, kw_only=True):
    """One feature on one day: its index against training, and what those of a week of training would reach on average."""

    feature: str
    day: date
    index: float
    limit: float
    n: int


def stability_index(reference: Counts, observed: Counts) -> npt.NDArray[np.float64]:
    """The population stability index of `observed`, shape (..., bins), against `reference`, shape (bins,).

    Half a row is added to each bin, so that an empty one gives a number.
    """
    expected = _shares(reference)
    found = _shares(observed)
    index: npt.NDArray[np.float64] = ((found - expected) * np.log(found / expected)).sum(axis=-1)
    return index


def index_limit(training_days: Counts, n: int, false_alarm_rate: float, seed: int = 0) -> float:
    """What the mean index of the seven days of a week of training exceeds with this probability, at `n` rows a day.

    `training_days` has shape (days, bins), in the order of the days. Each draw takes a week of training and `n` rows at random
    from each of its days, so that the limit allows for both: few rows scatter, and weeks differ. Training has few weeks, and the
    furthest of them is no limit for years: so the logarithms of what was drawn are taken for normal, known from so many weeks.
    """
    from scipy.special import stdtrit

    generator = np.random.default_rng(seed)
    shares = _day_shares(training_days)
    run = min(JUDGED_DAYS, len(shares))
    first = generator.integers(0, len(shares) - run + 1, size=(_DRAWS, 1))
    drawn = generator.multinomial(n, shares[first + np.arange(run)])
    index = stability_index(training_days.sum(axis=0), drawn).mean(axis=-1)
    furthest = float(np.quantile(index, 1 - false_alarm_rate))
    weeks = len(shares) // run
    if weeks < _FEWEST_WEEKS or not (index > 0).all():
        return furthest
    logs = np.log(index)
    beyond = float(stdtrit(weeks - 1, 1 - false_alarm_rate)) * np.sqrt(1 + 1 / weeks)
    return max(furthest, float(np.exp(logs.mean() + beyond * logs.std())))


def _day_shares(training_days: Counts) -> npt.NDArray[np.float64]:
    """Each day's shares, drawn towards those of all days by as much as their own few rows scatter.

    How far days differ beyond that is told by their chi-square statistic over its degrees of freedom.
    """
    days = training_days[training_days.sum(axis=1) > 0][:, training_days.sum(axis=0) > 0]
    rows = days.sum(axis=1, keepdims=True)
    overall = days.sum(axis=0) / days.sum()
    freedom = (days.shape[0] - 1) * (days.shape[1] - 1)
    dispersion = ((days - rows * overall) ** 2 / (rows * overall)).sum() / freedom if freedom else 1.0
    kept = np.sqrt(max(0.0, 1 - 1 / dispersion)) if dispersion else 0.0
    shares: npt.NDArray[np.float64] = np.zeros((days.shape[0], training_days.shape[1]))
    shares[:, training_days.sum(axis=0) > 0] = overall + kept * (days / rows - overall)
    return shares


def rows_of_null(n: int) -> int:
    """`n` taken down to a grid of steps of a quarter: the limit only widens, and few limits serve many days."""
    return max(1, int(_GRID ** np.floor(np.log(max(n, 1)) / np.log(_GRID))))


def inputs_look_like_training(days: Sequence[FeatureDay], fewest_rows: int) -> Verdict:
    """Whether no feature's index is, on average over the newest seven days, above its limit.

    The average stays below when one day is odd, and passes above when a feature broke altogether or shifted for good.
    """
    newest = max((one.day for one in days), default=None)
    judged = [one for one in days if newest is not None and (newest - one.day).days < JUDGED_DAYS]
    features = sorted({one.feature for one in judged})
    rows = max((sum(one.n for one in judged if one.feature == feature) for feature in features), default=0)
    if rows < fewest_rows:
        reason = f"{rows:,} answers can be compared with training, {fewest_rows:,} are needed"
        return Verdict(passed=False, reason=reason, limit=1.0, rows=rows)
    ratios = {
        feature: float(np.mean([one.index / one.limit for one in judged if one.feature == feature])) for feature in features
    }
    drifted = sorted((feature for feature in features if ratios[feature] > 1), key=lambda feature: -ratios[feature])
    worst = max(ratios, key=lambda feature: ratios[feature])
    named = ", ".join(f"{feature} ({ratios[feature]:.2f} times)" for feature in drifted[:5])
    reason = (
        f"{len(drifted)} of {len(features)} features are further from training than a week of training is"
        + (f": {named}" if drifted else f"; nearest to its limit is {worst} at {ratios[worst]:.2f} of it")
        + f", over {rows:,} answers"
    )
    return Verdict(
        passed=not drifted, reason=reason, observed=ratios[worst], limit=1.0, rows=rows, remedy="nothing" if drifted else None
    )


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    smoothed = counts + _PRIOR
    shares: npt.NDArray[np.float64] = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return shares
