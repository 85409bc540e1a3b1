"""Labelled days whose neighbours go together, as weather's do: what a calibrated or a useless model would leave."""

from datetime import date, timedelta

import numpy as np

from checks.days import LabelledDay

FIRST = date(2013, 7, 1)
ROWS = 500


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
