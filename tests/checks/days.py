"""Labelled days whose neighbours go together, as weather's do: what a calibrated or a useless model would leave."""

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from checks.days import LabelledDay

FIRST = date(2013, 7, 1)
ROWS = 500
SKILL, _ROW_SCATTER = 0.05, 0.4

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def labelled_days(number: int, seed: int, *, bias: float = 1.0, skill: float = 0.05, share: float = 1.0) -> list[LabelledDay]:
    """Days of 500 answers on which a quarter happens, give or take 5 points by day.

    `bias` is predicted over observed in the long run, `skill` what the answers lose less than the base rate.
    """
    generator = np.random.default_rng(seed)
    shock = np.zeros(number)
    for day in range(number):
        shock[day] = 0.29 * shock[day - 1] + generator.normal(0, 0.05) if day else generator.normal(0, 0.05)
    observed = generator.binomial(ROWS, np.clip(0.25 + shock, 0.01, 0.99)) / ROWS
    return [
        LabelledDay(
            day=FIRST + timedelta(days=day),
            n=ROWS,
            labelled_share=share,
            predicted=0.25 * bias,
            observed=float(observed[day]),
            loss=0.5 - skill + 0.3 * float(shock[day]) + float(generator.normal(0, 0.01)),
            base_loss=0.5,
        )
        for day in range(number)
    ]


def sliced_days(
    number: int,
    seed: int,
    sizes: Mapping[str, int],
    *,
    moved: Mapping[str, float] = {},
    lost: Mapping[str, float] = {},
    moved_from: int = 0,
) -> tuple[dict[str, list[LabelledDay]], list[LabelledDay]]:
    """Days of slices of about so many answers, which share the shocks of days, and the days of all of them together.

    A quarter is predicted, and happens; answers lose SKILL less than the base rate. From day `moved_from` on the log odds of what
    happens in a slice are `moved`, and its answers have `lost`, by so much.
    """
    generator = np.random.default_rng(seed)
    shock = generator.normal(0, 0.25, number)
    for day in range(1, number):
        shock[day] += 0.4 * shock[day - 1]
    n = {name: np.maximum(generator.poisson(size, number), 1) for name, size in sizes.items()}
    happened: dict[str, Counts] = {}
    for name in sizes:
        later = np.where(np.arange(number) >= moved_from, moved.get(name, 0.0), 0.0)
        odds = shock + generator.normal(0, 0.08, number) + later - np.log(3)
        happened[name] = generator.binomial(n[name], 1 / (1 + np.exp(-odds)))
    of_days = np.random.default_rng([seed, 1])
    together = of_days.normal(0, 0.03, number)
    more: dict[str, Floats] = {}
    for name, rows in n.items():
        later = np.where(np.arange(number) >= moved_from, lost.get(name, 0.0), 0.0)
        more[name] = rows * (later - SKILL + together + of_days.normal(0, 1, number) * _ROW_SCATTER / np.sqrt(rows))
    slices = {name: _days_of(rows, happened[name], more[name]) for name, rows in n.items()}
    none = np.zeros(number, dtype=np.int64)
    return slices, _days_of(sum(n.values(), none), sum(happened.values(), none), sum(more.values(), np.zeros(number)))


def _days_of(n: Counts, happened: Counts, more: Floats) -> list[LabelledDay]:
    """`more` is what the answers of a day lose more than the base rate, together."""
    base_loss = -(happened * np.log(0.25) + (n - happened) * np.log(0.75)) / n
    return [
        LabelledDay(
            day=FIRST + timedelta(days=day),
            n=int(rows),
            labelled_share=1.0,
            predicted=0.25,
            observed=float(positives / rows),
            loss=float(base + lost / rows),
            base_loss=float(base),
        )
        for day, (rows, positives, base, lost) in enumerate(zip(n, happened, base_loss, more, strict=True))
    ]
