"""Champion against challenger on labelled answers of randomised requests: go, no-go, keep running, or invalid.

The difference is taken inside each day, so that a day's weather moves both arms alike. Its error is clustered by the
unit that was randomised and by day, and its interval is a confidence sequence (Waudby-Smith and others, arXiv
2103.06476): it holds at every look at once, so looking daily raises no false alarm.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import polars as pl

from checks.days import FEWEST_DAYS
from checks.sample_ratio import Assignment, sample_ratio_probability

LEVEL = 0.05
UNEVEN = 0.001
_TUNED_FOR_DAYS = 28

Outcome = Literal["go", "no-go", "keep running", "invalid"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment shows. Values are mean losses; `difference` is challenger minus champion, so below 0 is better.

    `low` and `high` bound it at 95 % over all looks. They are None while there is nothing to compare.
    """

    verdict: Outcome
    reason: str
    champion_value: float | None = None
    challenger_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    champion_n: int = 0
    challenger_n: int = 0
    days: int = 0


def compare(answers: pl.DataFrame, assignments: Sequence[Assignment], metric: str) -> Comparison:
    """Judge labelled answers of both arms.

    `answers` has one row for each: `unit` (what was randomised, text), `day`, `challenger` (true or false) and `loss`.
    `assignments` count the units of every arm, answered and labelled or not; without any, the plan is not known.
    Only days on which both arms have answers count.
    """
    both = answers.filter(pl.col("challenger").any().over("day") & ~pl.col("challenger").all().over("day"))
    days = both["day"].n_unique()
    if not days:
        return Comparison(verdict="keep running", reason="there is no day yet on which both arms have labelled answers")
    estimate = _estimate(both, days)
    verdict, reason = _judge(estimate, assignments, metric)
    return msgspec.structs.replace(estimate, verdict=verdict, reason=reason)


def _estimate(answers: pl.DataFrame, days: int) -> Comparison:
    """The difference inside days, weighted by their answers, and its confidence sequence."""
    treated = pl.col("challenger")
    arms = (
        answers.sort("day", "unit", "loss")
        .with_columns(
            share=treated.mean().over("day"),
            challenger_mean=pl.col("loss").filter(treated).mean().over("day"),
            champion_mean=pl.col("loss").filter(~treated).mean().over("day"),
        )
        .with_columns(effect=pl.col("challenger_mean") - pl.col("champion_mean"))
    )
    difference = float(arms.select(pl.col("effect").mean()).item())
    influence = (
        pl.when(treated)
        .then((pl.col("loss") - pl.col("challenger_mean")) / pl.col("share"))
        .otherwise(-(pl.col("loss") - pl.col("champion_mean")) / (1 - pl.col("share")))
        + pl.col("effect")
        - difference
    )
    moved = arms.with_columns(influence=influence)
    by_unit, by_day, by_both = (_clustered(moved, keys) for keys in (["unit"], ["day"], ["unit", "day"]))
    error = float(np.sqrt(max(by_unit, by_unit + by_day - by_both))) / answers.height
    width = error * _sequence_factor(days)
    losses = {
        bool(row["challenger"]): row for row in answers.group_by("challenger").agg(pl.col("loss").mean(), n=pl.len()).to_dicts()
    }
    return Comparison(
        verdict="keep running",
        reason="",
        champion_value=losses[False]["loss"],
        challenger_value=losses[True]["loss"],
        difference=difference,
        low=difference - width,
        high=difference + width,
        champion_n=losses[False]["n"],
        challenger_n=losses[True]["n"],
        days=days,
    )


def _clustered(moved: pl.DataFrame, keys: list[str]) -> float:
    """The variance of the sum of influences when rows of one cluster go together."""
    totals = moved.group_by(keys).agg(pl.col("influence").sum())["influence"]
    return float((totals**2).sum()) * len(totals) / max(len(totals) - 1, 1)


def _sequence_factor(days: int) -> float:
    """How many standard errors the confidence sequence is wide, on each side, after so many days."""
    tuning = (-2 * np.log(LEVEL) + np.log(-2 * np.log(LEVEL)) + 1) / _TUNED_FOR_DAYS
    spread = days * tuning
    return float(np.sqrt(2 * (spread + 1) / spread * np.log(np.sqrt(spread + 1) / LEVEL)))


def _judge(estimate: Comparison, assignments: Sequence[Assignment], metric: str) -> tuple[Outcome, str]:
    seen = (
        f"{metric} of the challenger minus the champion's is {estimate.difference:+.4f} within "
        f"[{estimate.low:+.4f}, {estimate.high:+.4f}], over {estimate.days} days with {estimate.challenger_n:,} and "
        f"{estimate.champion_n:,} labelled answers"
    )
    if not assignments:
        do = "store parameters, or give Dagster the PROXY_ variables of the proxy"
        return "invalid", f"the planned shares are not known, so nothing shows that requests were randomised ({do}); {seen}"
    probability = sample_ratio_probability(assignments)
    if probability < UNEVEN:
        found = "; ".join(f"{one.units} units on shares {tuple(round(share, 4) for share in one.shares)}" for one in assignments)
        return "invalid", f"the arms did not get their planned shares ({found}; p below {UNEVEN}), so they are not comparable"
    if estimate.days < FEWEST_DAYS:
        return "keep running", f"{estimate.days} days are too few to decide, {FEWEST_DAYS} are needed; {seen}"
    if estimate.high is not None and estimate.high < 0:
        return "go", f"the challenger is better: {seen}"
    if estimate.low is not None and estimate.low > 0:
        return "no-go", f"the challenger is worse: {seen}"
    return "keep running", f"neither is better for sure: {seen}"
