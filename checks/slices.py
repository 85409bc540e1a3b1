"""Whether in every slice answers are calibrated, and beat the base rate: in none are they off apart from all other answers."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from checks.beside import Beside, Off, Told, beside, in_every_slice, mean_of_others
from checks.calibration import (
    NEGLIGIBLE_RATIO,
    STANDING_DAYS,
    are_shares,
    differences,
    predicted_over_observed,
    variance_by_chance,
    weights,
)
from checks.days import Floats, LabelledDay, counts
from checks.shift import usual_variance
from checks.verdict import Verdict


def calibrated_in_every_slice(
    slices: Mapping[str, Sequence[LabelledDay]], whole: Sequence[LabelledDay], alarms_in_a_year: float, fewest_rows: int
) -> Verdict:
    """Whether no alarm of a slice stands, by a detector that may be asked every day.

    `slices` and `whole` are days of one package, in order. A slice is off when what happened in it is more, or less, than was
    predicted, and also more, or less, than in all other answers of these days: what all are off by is no matter of a slice, but
    of the whole. Both are asked of the detector of `answers_are_calibrated`, which the slices share: of all of them together
    it raises so many false alarms in a year at most. The first four weeks say how much the days of a slice scatter. What was
    seen less than four weeks ago is provisional: a slice has few rows, and is told as an error when it still is off by then.
    """
    shares = are_shares(whole)
    pairs = {name: _calibration(days, whole, shares=shares) for name, days in slices.items()}
    return in_every_slice(pairs, _CALIBRATED, alarms_in_a_year, fewest_rows)


def base_rate_beaten_in_every_slice(
    slices: Mapping[str, Sequence[LabelledDay]], whole: Sequence[LabelledDay], alarms_in_a_year: float, fewest_rows: int
) -> Verdict:
    """The same of skill: whether in no slice answers lose more than the base rate, and more of that than all other answers do.

    A slice of which it cannot be told passes: in so few rows it seldom can be.
    """
    return in_every_slice({name: _skill(days, whole) for name, days in slices.items()}, _BEATEN, alarms_in_a_year, fewest_rows)


def _calibration(days: Sequence[LabelledDay], whole: Sequence[LabelledDay], *, shares: bool) -> Beside:
    """How much more happened than was predicted; a day's rows alone make shares scatter in log odds, other values by nothing."""

    def rest(of_all: LabelledDay, part: LabelledDay) -> LabelledDay:
        means = {name: mean_of_others(of_all, part, name) for name in ("predicted", "observed")}
        within = {name: min(max(mean, 0.0), 1.0) if shares else mean for name, mean in means.items()}
        return msgspec.structs.replace(of_all, n=of_all.n - part.n, **within)

    mine, others = beside(days, whole, rest)
    off, weight, n = differences(mine, shares=shares), weights(mine), counts(mine)
    rows, rows_of_others = (np.array([day.observed - day.predicted for day in one]) for one in (mine, others))
    return Beside(
        days=mine,
        others=others,
        off=weight * off,
        apart=weight * (off - differences(others, shares=shares)),
        rows_off=n * rows,
        rows_apart=n * (rows - rows_of_others),
        least=variance_by_chance(mine) if shares else 0.0,
    )


def _skill(days: Sequence[LabelledDay], whole: Sequence[LabelledDay]) -> Beside:
    """How much more was lost than by the base rate, whose own days say how much they scatter at least."""

    def rest(of_all: LabelledDay, part: LabelledDay) -> LabelledDay:
        means = {name: mean_of_others(of_all, part, name) for name in ("loss", "base_loss")}
        return msgspec.structs.replace(of_all, n=of_all.n - part.n, **means)

    mine, others = beside(days, whole, rest)
    weight, n = weights(mine), counts(mine)
    more, more_of_others = _more_lost(mine), _more_lost(others)
    of_base = weight * np.array([day.base_loss for day in mine])
    least = usual_variance(of_base[:STANDING_DAYS])
    return Beside(
        days=mine,
        others=others,
        off=weight * more,
        apart=weight * (more - more_of_others),
        rows_off=n * more,
        rows_apart=n * (more - more_of_others),
        least=least if np.isfinite(least) else 0.0,
    )


def _more_lost(days: Sequence[LabelledDay]) -> Floats:
    return np.array([day.loss - day.base_loss for day in days], dtype=np.float64)


def _is_no_negligible_ratio(one: Beside, off: Off) -> bool:
    mine, others = (predicted_over_observed(days[off.since :]) for days in (one.days, one.others))
    return abs(mine - 1) > NEGLIGIBLE_RATIO and abs(mine - others) > NEGLIGIBLE_RATIO * others


def _off_ratio(one: Beside, off: Off) -> str:
    mine, others = (predicted_over_observed(days[off.since :]) for days in (one.days, one.others))
    return (
        f"since {one.days[off.since].day} {'more' if off.up else 'less'} happens than is predicted: predicted over observed is "
        f"{mine:.3f}, in all other answers {others:.3f}"
    )


def _sound_ratio(one: Beside) -> str:
    mine, others = (predicted_over_observed(days[-STANDING_DAYS:]) for days in (one.days, one.others))
    return f"predicted over observed is {mine:.3f} over the last {_newest(one)} days, in all other answers {others:.3f}"


def _loses_more(one: Beside, off: Off) -> bool:
    return bool(one.rows_off[off.since :].sum() > 0 and one.rows_apart[off.since :].sum() > 0)


def _off_loss(one: Beside, off: Off) -> str:
    losses = _losses(one.days[off.since :], one.others[off.since :])
    return f"since {one.days[off.since].day} answers are worse than none: {losses}"


def _sound_loss(one: Beside) -> str:
    return f"{_losses(one.days[-STANDING_DAYS:], one.others[-STANDING_DAYS:])}, over the last {_newest(one)} days"


def _losses(mine: Sequence[LabelledDay], others: Sequence[LabelledDay]) -> str:
    """Means over rows, of the answers and of the base rate."""
    loss, base, others_loss, others_base = (
        float(np.average([getattr(day, name) for day in days], weights=counts(days)))
        for days in (mine, others)
        for name in ("loss", "base_loss")
    )
    others_lose = f"in all other answers {others_loss:.4f}, the base rate's {others_base:.4f}"
    return f"the loss is {loss:.4f}, the base rate's {base:.4f}; {others_lose}"


def _newest(one: Beside) -> int:
    return min(len(one.days), STANDING_DAYS)


_CALIBRATED = Told(
    ways=(True, False),
    matters=_is_no_negligible_ratio,
    off=_off_ratio,
    sound=_sound_ratio,
    nothing="nothing shows that a slice is off by more than its days scatter, and apart from all other answers",
    remedy="recalibrate",
)
_BEATEN = Told(
    ways=(True,),
    matters=_loses_more,
    off=_off_loss,
    sound=_sound_loss,
    nothing="nothing shows that a slice loses more than the base rate, by more than its days scatter, and apart from all others",
    remedy="retrain",
)
