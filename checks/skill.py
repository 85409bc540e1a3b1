"""Whether answers are worth having: they lose less than always answering what was usual in training."""

from collections.abc import Sequence

import numpy as np

from checks.days import FEWEST_DAYS, LabelledDay, counts, total_with_interval
from checks.shift import evidence, usual_variance
from checks.verdict import Verdict

STANDING_DAYS = 28


def answers_beat_the_base_rate(days: Sequence[LabelledDay], alarms_in_a_year: float, fewest_rows: int) -> Verdict:
    """Whether the loss of the answers over the last four weeks is below that of the base rate, with its whole 95 % interval.

    It fails with a figure when they lose more, by a detector that may be asked every day, and without one when that cannot be
    told yet. `days` are those of one package, in order.
    """
    recent = days[-STANDING_DAYS:]
    n = counts(recent)
    rows = int(n.sum())
    if len(recent) < FEWEST_DAYS or rows < fewest_rows:
        reason = f"{len(recent)} days with {rows:,} labelled answers are too few to judge: {FEWEST_DAYS} days and {fewest_rows:,}"
        return Verdict(passed=False, reason=reason, limit=0.0, rows=rows)
    more = np.array([day.loss - day.base_loss for day in days])
    usual = max(usual_variance(of_day) for of_day in (np.array([day.base_loss for day in days]), more))
    found = evidence(more, usual, alarms_in_a_year).up[-STANDING_DAYS:] if usual > 0 else np.zeros(1)
    loss, base_loss = np.array([day.loss for day in recent]), np.array([day.base_loss for day in recent])
    difference, low, high = (total / rows for total in total_with_interval(n * (loss - base_loss)))
    reason = (
        f"the loss is {np.average(loss, weights=n):.4f}, the base rate's {np.average(base_loss, weights=n):.4f}; "
        f"the difference {difference:+.4f} is within [{low:+.4f}, {high:+.4f}] and must be below 0, "
        f"over {len(recent)} days with {rows:,} labelled answers"
    )
    if high < 0:
        return Verdict(passed=True, reason=reason, observed=high, limit=0.0, rows=rows)
    if found.max() >= 1:
        return Verdict(
            passed=False, reason=f"answers are worse than none: {reason}", observed=high, limit=0.0, rows=rows, remedy="retrain"
        )
    return Verdict(passed=False, reason=f"it cannot be told yet: {reason}", limit=0.0, rows=rows)
