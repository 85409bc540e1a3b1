"""Shadows as daily loss differences, of many experiments at once: what is decided on each day by the rule of `compare`."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from checks.confidence_sequence import sequence_factor, with_freedom
from checks.experiment_plan import ExperimentPlan
from checks.group_sequential import daily_boundaries
from checks.paired_days import PART_OF_ALPHA, paired_looks

Floats = npt.NDArray[np.float64]
FIRST = date(2013, 7, 1)


def bounds(difference: Floats, weight: Floats, plan: ExperimentPlan) -> tuple[Floats, Floats]:
    """The interval after each day from the first that decides, of shape (experiments, looks)."""
    looks = paired_looks(difference, weight)
    days, alpha = np.arange(1, difference.shape[-1] + 1), plan.alpha * PART_OF_ALPHA
    if plan.longest_days is None:
        normal = sequence_factor(days, alpha)
    else:
        few = np.full(plan.fewest_days - 1, np.inf)
        normal = np.concatenate([few, daily_boundaries(plan.fewest_days, plan.longest_days, alpha / 2)])
        looks = type(looks)(*(of_all[..., : plan.longest_days] for of_all in looks))
    factor = with_freedom(np.where(np.isfinite(normal), normal, 8.0), looks.freedom)
    low, high = looks.estimate - factor * looks.error, looks.estimate + factor * looks.error
    return low[..., plan.fewest_days - 1 :], high[..., plan.fewest_days - 1 :]


def wrong_gos(difference: Floats, weight: Floats, plan: ExperimentPlan) -> float:
    """The share of experiments that are "go" on any day."""
    _, high = bounds(difference, weight, plan)
    return float((high < plan.margin).any(axis=-1).mean())


def blocks_of(daily: Floats, weight: Floats, experiments: int, days: int, seed: int, *, swapped: bool) -> tuple[Floats, Floats]:
    """Days drawn in two-week blocks, as if the last was followed by the first; `swapped` exchanges a block's arms by a coin."""
    generator = np.random.default_rng(seed)
    number = -(-days // 14)
    start = generator.integers(0, len(daily), (experiments, number))
    drawn = (start[:, :, None] + np.arange(14)).reshape(experiments, -1)[:, :days] % len(daily)
    coin = generator.choice([-1.0, 1.0], (experiments, number)) if swapped else np.ones((experiments, number))
    return daily[drawn] * np.repeat(coin, 14, axis=1)[:, :days], weight[drawn]


def shadow_answers(difference: Floats, rows: int = 4) -> pl.DataFrame:
    """Answers of both arms on as many requests each day, whose mean losses differ by this."""
    day = np.repeat(np.arange(len(difference)), rows)
    unit = [f"request {number}" for number in range(len(day))]
    dates = [FIRST + timedelta(days=int(one)) for one in day]
    champion = pl.DataFrame({"unit": unit, "day": dates, "challenger": False, "loss": 0.5 + 0.1 * (day % 3)})
    challenger = champion.with_columns(challenger=True, loss=pl.col("loss") + pl.Series(difference[day]))
    return pl.concat([champion, challenger])
