"""Whether answers are calibrated: as much happens as was predicted, day after day."""

from bisect import insort
from collections.abc import Sequence

import numpy as np

from checks.days import FEWEST_DAYS, Floats, LabelledDay, counts, totals_with_intervals
from checks.shift import Shift, evidence, shifts_of, usual_variance
from checks.verdict import Verdict

NEGLIGIBLE_RATIO = 0.05
# So long an alarm stands, and then while these last days alone are still off the same way.
STANDING_DAYS = 28


def answers_are_calibrated(
    days: Sequence[LabelledDay], training: Sequence[float], alarms_in_a_year: float, fewest_rows: int
) -> Verdict:
    """Whether no alarm stands, by a detector that may be asked every day.

    `days` are those of one package whose answers nothing has changed since, in order, best from its holdout on: what the
    evaluation saw is evidence too. `training` is what was observed on each day of training, as a share (or as a value, of a
    regression); it says how much days scatter until the package's own days do. Without it the first four weeks do.

    Of a share the difference of a day is taken in log odds, as what moves all its rows alike would. A ratio of predicted over
    observed within 5 % of 1, since when it seems to be so, is no alarm however sure it is: with enough rows every model is a
    little off.
    """
    rows = int(counts(days).sum())
    moved, usual = daily_differences(days, training)
    if not np.isfinite(usual):
        usual = usual_variance(moved[:STANDING_DAYS])
    known = bool(len(moved)) and np.isfinite(usual) and usual > 0
    found = evidence(moved, usual, alarms_in_a_year) if known else None
    less = counts(days) * np.array([day.observed - day.predicted for day in days])
    alarms = standing(shifts_of(moved, usual, alarms_in_a_year), less) if known else []
    lasting = [alarm for alarm in alarms if abs(predicted_over_observed(days[alarm.since :]) - 1) > NEGLIGIBLE_RATIO]
    recent = days[-STANDING_DAYS:]
    seen = f"predicted over observed is {predicted_over_observed(recent):.3f} over the last {len(recent)} days" if recent else ""
    over = f"over {len(days)} days with {rows:,} labelled answers"
    if found is None or (not lasting and (len(days) < FEWEST_DAYS or rows < fewest_rows)):
        reason = f"{len(days)} days with {rows:,} labelled answers are too few to judge: {FEWEST_DAYS} days and {fewest_rows:,}"
        return Verdict(passed=False, reason=reason, limit=1.0, rows=rows)
    observed = float(max(found.up[-STANDING_DAYS:].max(), found.down[-STANDING_DAYS:].max()))
    if not lasting:
        reason = (
            f"{seen}; nothing shows that it moved from 1 by more than days do, or by more than {NEGLIGIBLE_RATIO:.0%}; {over}"
        )
        return Verdict(passed=True, reason=reason, observed=observed, limit=1.0, rows=rows)
    newest = lasting[-1]
    since, ratio = days[newest.since].day, predicted_over_observed(days[newest.since :])
    what, found_on = "more" if newest.up else "less", days[newest.found].day
    reason = (
        f"since {since} {what} happens than is predicted: predicted over observed is {ratio:.3f}, seen on {found_on} "
        f"by a test that raises {alarms_in_a_year:g} false alarms a year at most; {seen}; {over}"
    )
    return Verdict(passed=False, reason=reason, observed=observed, limit=1.0, rows=rows, remedy="recalibrate")


def daily_differences(days: Sequence[LabelledDay], training: Sequence[float]) -> tuple[Floats, float]:
    """What happened on each day less what was predicted, and how much that usually scatters, both in the same unit.

    A day with less than half the usual rows counts for less, since it scatters for that alone.
    """
    rates, shares = np.array(training, dtype=np.float64), are_shares(days) and all(0 <= rate <= 1 for rate in training)
    moved = weights(days) * differences(days, shares=shares)
    if not shares:
        return moved, usual_variance(rates)
    base = float(rates.mean()) if len(rates) else 0.5
    return moved, usual_variance(rates) / max(base * (1 - base), 1e-9) ** 2


def are_shares(days: Sequence[LabelledDay]) -> bool:
    """Whether what is predicted and observed are shares, and no other values."""
    return all(0 <= value <= 1 for day in days for value in (day.predicted, day.observed))


def differences(days: Sequence[LabelledDay], *, shares: bool) -> Floats:
    """What happened on each day less what was predicted, of shares in log odds."""
    less = np.array([day.observed - day.predicted for day in days], dtype=np.float64)
    return less * _log_odds(days) if shares else less


def variance_by_chance(days: Sequence[LabelledDay]) -> float:
    """How much a day's rows alone, were they independent, make shares scatter in log odds."""
    return float(np.mean(_log_odds(days) / counts(days))) if days else 0.0


def _log_odds(days: Sequence[LabelledDay]) -> Floats:
    """By how much the log odds of each day's prediction move with it."""
    predicted, n = np.array([day.predicted for day in days], dtype=np.float64), np.maximum(counts(days), 1)
    within = np.clip(predicted, 0.5 / n, 1 - 0.5 / n)
    slope: Floats = 1 / (within * (1 - within))
    return slope


def weights(days: Sequence[LabelledDay]) -> Floats:
    """For how much each day counts: for less, when it has less than half the rows that days have had until then."""
    n, until, found = counts(days), list[float](), np.ones(len(days))
    for position, rows in enumerate(n):
        insort(until, rows)
        middle = (until[position // 2] + until[(position + 1) // 2]) / 2
        found[position] = min(1.0, 2 * rows / middle)
    return found


def standing(alarms: Sequence[Shift], less: Floats) -> list[Shift]:
    """The alarms that are of the last four weeks, or whose way the last four weeks have been off on every day since then.

    `less` is for each day how much more happened than was predicted, in rows.
    """
    if not alarms or len(less) <= STANDING_DAYS:
        return [*alarms]
    _, low, high = totals_with_intervals(np.lib.stride_tricks.sliding_window_view(less, STANDING_DAYS)[1:])
    # For each way the last day on which it was not so.
    broken = {up: max(np.flatnonzero(~is_off), default=-1) + STANDING_DAYS for up, is_off in ((True, low > 0), (False, high < 0))}
    return [alarm for alarm in alarms if alarm.found + STANDING_DAYS > broken[alarm.up]]


def predicted_over_observed(days: Sequence[LabelledDay]) -> float:
    """Predicted over observed."""
    n = counts(days)
    observed = float(n @ [day.observed for day in days])
    return float(n @ [day.predicted for day in days]) / observed if observed else float("inf")
