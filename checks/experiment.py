"""Champion against challenger on what they answered: go, no-go, keep running, or invalid, with the numbers behind it.

There is one test of the difference of their losses, and it is chosen before the answers are: group-sequential where a
longest duration is declared, a confidence sequence where none is. Looking daily costs nothing in either. What it says is
advice: a person releases.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from checks.compared_losses import Design, Estimate, estimated, estimated_slices, labelled_units, missing_share
from checks.confidence_sequence import sequence_factor, with_freedom
from checks.experiment_plan import ExperimentPlan
from checks.group_sequential import conditional_power, daily_boundaries
from checks.guardrails import Guardrail, Span, traffic_guardrails
from checks.paired_days import PART_OF_ALPHA
from checks.sample_ratio import Assignment, sample_ratio_probability

UNEVEN = 0.01
_GUARDRAILS = 3
_OPTIMISTIC = 1.645

Outcome = Literal["go", "no-go", "keep running", "invalid"]
Method = Literal["group-sequential", "confidence sequence"]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment rests on.

    `answers` has a row for each answer: `unit` (what was randomised; of a shadow the request, which both arms answered),
    `day`, `challenger` (true or false), `loss` (null while unlabelled), and the fields in `slices`. `assignments` count the
    units of an A/B test, labelled or not; without any, its plan is not known. `gone_share` is how much of what was answered
    meanwhile, by whatever arm, has no row any more. `ended` says that the challenger is asked no more.
    """

    design: Design
    answers: pl.DataFrame
    assignments: Sequence[Assignment] = ()
    spans: Sequence[Span] = ()
    slices: Sequence[str] = ()
    gone_share: float = 0.0
    ended: bool = False


class SliceComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The slice in which the challenger is most surely worse, with bounds over all slices and looks."""

    name: str
    difference: float
    low: float
    high: float
    n: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment shows. Values are mean losses; `difference` is challenger minus champion, so below 0 is better.

    `low` and `high` bound it over all looks; they are None while there is nothing to compare or too little for a bound.
    `futile_by` is the day that ends the experiment, when it will not have been decided by then.
    """

    verdict: Outcome
    reason: str
    design: Design
    method: Method
    champion_value: float | None = None
    challenger_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    champion_n: int = 0
    challenger_n: int = 0
    days: int = 0
    ends_on: date | None = None
    futile_by: date | None = None
    sample_ratio_probability: float | None = None
    missing_share: float = 0.0
    guardrails: tuple[Guardrail, ...] = ()
    worst_slice: SliceComparison | None = None

    @property
    def harms(self) -> tuple[str, ...]:
        """The guardrails that are crossed: while there is one, the challenger is to get no share."""
        return tuple(guardrail.name for guardrail in self.guardrails if guardrail.crossed)


def compare(evidence: Evidence, plan: ExperimentPlan, metric: str) -> Comparison:
    """Judge an experiment as it stands: first whether it can be believed, then what it harms, then the difference."""
    estimate = estimated(evidence.answers, evidence.design)
    shown = _shown(evidence, plan, estimate)
    verdict, reason = _invalid(evidence, plan, shown) or _harmful(shown) or _judged(evidence, plan, estimate, shown)
    if estimate is not None:
        bounds = "" if shown.low is None else f" within [{shown.low:+.4f}, {shown.high:+.4f}]"
        reason += (
            f"; {metric} of the challenger minus the champion's is {estimate.difference:+.4f}{bounds}, over {estimate.days} days "
            f"with {estimate.challenger_n:,} and {estimate.champion_n:,} labelled answers"
        )
    futile = shown.ends_on if reason.startswith("futile") else None
    return msgspec.structs.replace(shown, verdict=verdict, reason=reason, futile_by=futile)


def _shown(evidence: Evidence, plan: ExperimentPlan, estimate: Estimate | None) -> Comparison:
    shown = Comparison(
        verdict="keep running",
        reason="",
        design=evidence.design,
        method="group-sequential" if plan.longest_days else "confidence sequence",
        sample_ratio_probability=sample_ratio_probability(evidence.assignments) if evidence.assignments else None,
        missing_share=max(evidence.gone_share, missing_share(evidence.answers, evidence.design)),
        guardrails=tuple(traffic_guardrails(evidence.spans, plan.greatest_error_increase, plan.alpha / _GUARDRAILS)),
    )
    if estimate is None:
        return shown
    low, high = _bounds(estimate, plan, evidence.design)
    slices = list(estimated_slices(evidence.answers, evidence.design, evidence.slices))
    alpha = _alpha(plan, evidence.design)
    worst = max((_slice(name, one, alpha / len(slices)) for name, one in slices), key=lambda one: one.low, default=None)
    return msgspec.structs.replace(
        shown,
        champion_value=estimate.champion,
        challenger_value=estimate.challenger,
        difference=estimate.difference,
        low=low,
        high=high,
        champion_n=estimate.champion_n,
        challenger_n=estimate.challenger_n,
        days=estimate.days,
        ends_on=estimate.first + timedelta(days=plan.longest_days - 1) if plan.longest_days else None,
        guardrails=shown.guardrails + tuple(_loss_guardrails(estimate, worst, plan, alpha / _GUARDRAILS)),
        worst_slice=worst,
    )


def _alpha(plan: ExperimentPlan, design: Design) -> float:
    return plan.alpha * (PART_OF_ALPHA if design == "shadow" else 1.0)


def _bounds(estimate: Estimate, plan: ExperimentPlan, design: Design) -> tuple[float, float] | tuple[None, None]:
    """The interval that decides, over all looks of the design."""
    elapsed = estimate.elapsed if plan.longest_days is None else min(estimate.elapsed, plan.longest_days)
    if estimate.days < plan.fewest_days:
        return None, None
    if plan.longest_days is None:
        factor = float(sequence_factor(estimate.days, _alpha(plan, design)))
    else:
        factor = daily_boundaries(plan.fewest_days, plan.longest_days, _alpha(plan, design) / 2)[elapsed - plan.fewest_days]
    width = estimate.error * float(with_freedom(factor, estimate.freedom))
    return (estimate.difference - width, estimate.difference + width) if np.isfinite(width) else (None, None)


def _always(estimate: Estimate, alpha: float) -> float:
    """Half the width of the confidence sequence of what happened on these days."""
    return estimate.of_these_days * float(with_freedom(sequence_factor(estimate.days, alpha), estimate.freedom))


def _slice(name: str, estimate: Estimate, alpha: float) -> SliceComparison:
    width = _always(estimate, alpha)
    low, high = estimate.difference - width, estimate.difference + width
    return SliceComparison(name=name, difference=estimate.difference, low=low, high=high, n=estimate.challenger_n)


def _loss_guardrails(estimate: Estimate, worst: SliceComparison | None, plan: ExperimentPlan, alpha: float) -> list[Guardrail]:
    low = estimate.difference - _always(estimate, alpha)
    harms = [Guardrail(name="loss", observed=estimate.difference, low=low, limit=plan.margin, n=estimate.challenger_n)]
    if worst is not None and plan.greatest_slice_increase is not None:
        limit, name = plan.greatest_slice_increase, f"loss of {worst.name}"
        harms.append(Guardrail(name=name, observed=worst.difference, low=worst.low, limit=limit, n=worst.n))
    return harms


def _invalid(evidence: Evidence, plan: ExperimentPlan, shown: Comparison) -> tuple[Outcome, str] | None:
    if evidence.design == "A/B" and shown.sample_ratio_probability is None:
        do = "store parameters, or give Dagster the PROXY_ variables of the proxy"
        return "invalid", f"the planned shares are not known, so nothing shows that requests were randomised ({do})"
    if shown.sample_ratio_probability is not None and shown.sample_ratio_probability < UNEVEN:
        arms = (f"{one.units} units on shares {tuple(round(share, 4) for share in one.shares)}" for one in evidence.assignments)
        return (
            "invalid",
            f"the arms did not get their planned shares ({'; '.join(arms)}; p below {UNEVEN}), so they do not compare",
        )
    if shown.missing_share > plan.greatest_missing_share:
        what = "requests have no answer of the shadow" if evidence.design == "shadow" else "days have answers of one arm alone"
        if evidence.gone_share == shown.missing_share:
            what = "the answers that the log's commits sealed have no row any more (trainserve verify --log names them)"
        allowed = f"{plan.greatest_missing_share:.0%} allowed"
        return "invalid", f"the log lacks too much: {shown.missing_share:.0%} of {what}, {allowed}"
    units, labelled = labelled_units(evidence.answers)
    if evidence.design == "A/B" and all(units):
        shares = tuple(one / sum(units) for one in units)
        if sample_ratio_probability([Assignment(units=labelled, shares=shares)]) < UNEVEN:
            parts = " and ".join(f"{one / of:.1%}" for one, of in zip(labelled, units, strict=True))
            return "invalid", f"labels come to one arm more than to the other: to {parts} of their units (p below {UNEVEN})"
    return None


def _harmful(shown: Comparison) -> tuple[Outcome, str] | None:
    crossed = [str(guardrail) for guardrail in shown.guardrails if guardrail.crossed]
    return ("no-go", f"the challenger does harm: {'; '.join(crossed)}") if crossed else None


def _judged(evidence: Evidence, plan: ExperimentPlan, estimate: Estimate | None, shown: Comparison) -> tuple[Outcome, str]:
    elapsed, days = (0, 0) if estimate is None else (estimate.elapsed, estimate.days)
    over = plan.longest_days is not None and elapsed >= plan.longest_days
    if estimate is None or days < plan.fewest_days:
        few = f"{days} days with labelled answers of both arms are too few to decide, {plan.fewest_days} are needed"
        return ("invalid", f"it ended too early: {few}") if over or evidence.ended else ("keep running", few)
    decided = _decided(plan, shown)
    if decided is not None:
        return decided
    if over:
        return "no-go", f"the longest duration is over, on {shown.ends_on}, and the challenger was not shown to be good enough"
    if evidence.ended:
        return "no-go", f"the challenger is asked no more since {estimate.last}, and was not shown to be good enough"
    if _is_futile(estimate, plan, evidence.design):
        return "no-go", f"futile by {shown.ends_on}: even at the best that can be hoped for it will hardly be decided by then"
    return "keep running", "neither is better for sure" if plan.margin == 0 else "the margin is neither kept nor missed for sure"


def _decided(plan: ExperimentPlan, shown: Comparison) -> tuple[Outcome, str] | None:
    """What the interval says, where it is wholly on one side of the margin."""
    if shown.low is None or shown.high is None:
        return None
    if shown.high < plan.margin:
        return "go", "the challenger is better" if plan.margin <= 0 else f"the challenger is not worse by {plan.margin:g}"
    if shown.low > plan.margin:
        return "no-go", "the challenger is worse" if plan.margin >= 0 else f"the challenger is not better by {-plan.margin:g}"
    return None


def _is_futile(estimate: Estimate, plan: ExperimentPlan, design: Design) -> bool:
    """Whether "go" is out of reach by the end, though the truth were the best end of a 90 % interval. It binds nobody."""
    if plan.longest_days is None or not np.isfinite(estimate.error):
        return False
    fraction = estimate.elapsed / plan.longest_days
    found = (plan.margin - estimate.difference) / estimate.error
    hoped = (found + _OPTIMISTIC) / np.sqrt(fraction)
    last = daily_boundaries(plan.fewest_days, plan.longest_days, _alpha(plan, design) / 2)[-1]
    return conditional_power(found, hoped, fraction, last) < plan.futile_below
