"""When daily values moved away from zero: a detector that may be asked every day, for as long as one likes.

For a few shifts that would matter, either way, it sums the likelihood ratios of all days since which it may have been there
(Shiryaev and Roberts). While nothing shifts, that sum less the number of days is a martingale, so it passes a level within so
many days with a chance of at most days over level: an e-detector (Shin, Ramdas and Rinaldo, arXiv 2203.03532). What the past
says counts less and less once it speaks against a shift, so an old, calm year does not hide a new one.

Neighbouring days go together; the value of a day is taken less what the day before lets expect. How much days scatter, and go
together, is learnt from days a week apart, which a lasting shift moves alike, and before that from `usual`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# In the scatter of a day: what it would take two weeks to a month to be sure of. Smaller ones take longer, some for ever.
SHIFTS = (0.5, 0.7, 1.0)
YEAR = 365
_TOGETHER = 0.4
_MOST_TOGETHER = 0.8
_DAYS_OF_TOGETHER = 28
_DAYS_OF_USUAL = 7
# Keeps the first few days, which may be alike by chance, from being taken for all.
_DAYS_OF_LEAST = 0.1
_WEEK = 7

Floats = npt.NDArray[np.float64]


class Evidence(NamedTuple):
    """For each day how much of what raises an alarm there is, upwards and downwards: an alarm from 1 on, then anew from 0."""

    up: Floats
    down: Floats


class Shift(NamedTuple):
    """An alarm: the position of its day, that of the day since which it seems to be so, and which way."""

    found: int
    since: int
    up: bool


def evidence(daily: Floats, usual: float | Floats, alarms_in_a_year: float) -> Evidence:
    """The evidence after each day, of shape (..., days); `usual` is the variance of a day before anything is known of days.

    Of several series it is one number for each, of shape (..., 1).

    `alarms_in_a_year` bounds how often, on average, a year without a shift raises one, either way.
    """
    score = _scores(daily, usual)
    level = np.log(2 * YEAR / alarms_in_a_year)
    shifts = np.array(SHIFTS)
    sums = {sign: np.full((*daily.shape[:-1], len(shifts)), -np.inf) for sign in (1, -1)}
    found = {sign: np.empty(daily.shape) for sign in sums}
    for day in range(daily.shape[-1]):
        for sign, total in sums.items():
            total[:] = np.logaddexp(0.0, total) + sign * shifts * score[..., day, None] - shifts**2 / 2
            now = np.logaddexp.reduce(total, axis=-1) - np.log(len(shifts))
            found[sign][..., day] = np.exp(np.minimum(now - level, 0.0)) + np.maximum(now - level, 0.0)
            total[now >= level] = -np.inf
    return Evidence(found[1], found[-1])


def shifts_of(daily: Floats, usual: float, alarms_in_a_year: float) -> list[Shift]:
    """All alarms of one series, in order."""
    return shifts_in(evidence(daily, usual, alarms_in_a_year), daily, usual)


def shifts_in(known: Evidence, daily: Floats, usual: float) -> list[Shift]:
    """The alarms of a series whose evidence is known."""
    score = _scores(daily, usual)
    shifts = []
    for up, found in ((True, known.up), (False, known.down)):
        begin = 0
        for day in np.flatnonzero(found >= 1):
            likelihood = np.cumsum((score if up else -score)[begin : day + 1] - SHIFTS[1] / 2)
            since = begin + int(np.argmin(np.concatenate([[0.0], likelihood[:-1]])))
            shifts.append(Shift(int(day), since, up))
            begin = int(day) + 1
    return sorted(shifts)


def usual_variance(rates: Floats) -> float:
    """How much a day scatters by days a week apart, as for a model that knows nothing of days."""
    return float(np.mean((rates[_WEEK:] - rates[:-_WEEK]) ** 2) / 2) if len(rates) > _WEEK else float("nan")


def _scores(daily: Floats, usual: float | Floats) -> Floats:
    """Each day's value less what the day before lets expect, in its scatter; both as known before it."""
    near, week = _half_squares(daily, 1), _half_squares(daily, _WEEK)
    number = np.maximum(np.arange(daily.shape[-1]) - _WEEK, 0)
    own = (_DAYS_OF_LEAST * usual + week) / (_DAYS_OF_LEAST + number)
    scatter = np.exp((_DAYS_OF_USUAL * np.log(usual) + number * np.log(own)) / (_DAYS_OF_USUAL + number))
    seen = np.where(week > 0, week / np.maximum(number, 1), own)
    alike = np.clip(1 - near / np.maximum(np.arange(daily.shape[-1]) - 1, 1) / seen, 0.0, _MOST_TOGETHER)
    together = (_DAYS_OF_TOGETHER * _TOGETHER + number * alike) / (_DAYS_OF_TOGETHER + number)
    before = np.concatenate([np.zeros((*daily.shape[:-1], 1)), daily[..., :-1]], axis=-1)
    score: Floats = (daily - together * before) / np.sqrt(scatter * (1 - together**2))
    return score


def _half_squares(daily: Floats, lag: int) -> Floats:
    """Before each day, the sum of half the squared differences of days so far apart."""
    sums = np.zeros(daily.shape)
    differences = (daily[..., lag:] - daily[..., :-lag]) ** 2 / 2
    sums[..., lag + 1 :] = np.cumsum(differences, axis=-1)[..., :-1]
    return sums
