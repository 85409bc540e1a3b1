"""Whether answers are calibrated: as much happens as was predicted, over whole days."""

from collections.abc import Sequence

import numpy as np

from checks.days import FEWEST_DAYS, LabelledDay, counts, standard_error_of_total
from checks.verdict import Verdict

NEGLIGIBLE_RATIO = 0.05


def answers_are_calibrated(days: Sequence[LabelledDay], z_limit: float, fewest_rows: int) -> Verdict:
    """Whether predicted over observed is 1, within what days of this kind scatter.

    The daily differences of predicted and observed counts are summed, and the sum divided by its standard error over
    days that may go together. With few days that quotient follows Student's distribution; it is given as the z of the
    same probability. A ratio within 5 % of 1 passes whatever its z: with enough rows every model is a little off.
    """
    n = counts(days)
    rows = int(n.sum())
    if len(days) < FEWEST_DAYS or rows < fewest_rows:
        reason = f"{len(days)} days with {rows:,} labelled answers are too few to judge: {FEWEST_DAYS} days and {fewest_rows:,}"
        return Verdict(passed=False, reason=reason, limit=z_limit, rows=rows)
    predicted = n * np.array([day.predicted for day in days])
    observed = n * np.array([day.observed for day in days])
    if observed.sum() == 0:
        reason = f"nothing of what is predicted was observed in {rows:,} labelled answers; {predicted.sum():,.1f} were predicted"
        return Verdict(passed=False, reason=reason, limit=z_limit, rows=rows)
    ratio = float(predicted.sum() / observed.sum())
    z = _normal_z(float((predicted - observed).sum()), standard_error_of_total(predicted - observed), len(days))
    passed = abs(z) <= z_limit or abs(ratio - 1) <= NEGLIGIBLE_RATIO
    reason = (
        f"predicted over observed is {ratio:.3f} over {len(days)} days, {abs(z):.1f} standard errors from 1 "
        f"({z_limit:g} allowed, or a ratio within {NEGLIGIBLE_RATIO:.0%} of 1), over {rows:,} labelled answers"
    )
    return Verdict(passed=passed, reason=reason, observed=z, limit=z_limit, rows=rows)


def _normal_z(total: float, error: float, days: int) -> float:
    from scipy.special import ndtri, stdtr

    if error == 0:
        return 0.0 if total == 0 else float(np.sign(total) * np.inf)
    tail = float(stdtr(days - 1, -abs(total / error)))
    return float(-np.sign(total) * ndtri(tail))
