"""Whether answers are worth having: they lose less than always answering what was usual in training."""

from collections.abc import Sequence

import numpy as np

from checks.days import FEWEST_DAYS, LabelledDay, counts, total_with_interval
from checks.verdict import Verdict


def answers_beat_the_base_rate(days: Sequence[LabelledDay], fewest_rows: int) -> Verdict:
    """Whether the loss of the answers is below that of the base rate, with its whole 95 % interval over days."""
    n = counts(days)
    rows = int(n.sum())
    if len(days) < FEWEST_DAYS or rows < fewest_rows:
        reason = f"{len(days)} days with {rows:,} labelled answers are too few to judge: {FEWEST_DAYS} days and {fewest_rows:,}"
        return Verdict(passed=False, reason=reason, limit=0.0, rows=rows)
    loss, base_loss = np.array([day.loss for day in days]), np.array([day.base_loss for day in days])
    difference, low, high = (total / rows for total in total_with_interval(n * (loss - base_loss)))
    reason = (
        f"the loss is {np.average(loss, weights=n):.4f}, the base rate's {np.average(base_loss, weights=n):.4f}; "
        f"the difference {difference:+.4f} is within [{low:+.4f}, {high:+.4f}] and must be below 0, "
        f"over {len(days)} days with {rows:,} labelled answers"
    )
    return Verdict(passed=high < 0, reason=reason, observed=high, limit=0.0, rows=rows)
