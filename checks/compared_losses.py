"""From labelled answers of two arms to the difference of their losses, of all and of each slice."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from checks.days import MATURE_SHARE
from checks.paired_days import paired_looks
from checks.randomised_units import unit_difference

# A/B: requests are shared out, each is answered by one arm. Shadow: each is answered by both.
Design = Literal["A/B", "shadow"]

_FEWEST_ANSWERS = 100
_FEWEST_UNITS = 20
# So many requests expected and none found is chance with a probability below 0.001.
_SURELY_SOME = 7.0


class Estimate(NamedTuple):
    """The challenger's mean loss less the champion's, with its error; `of_these_days` is its error on just these days."""

    difference: float
    error: float
    freedom: float
    of_these_days: float
    champion: float
    challenger: float
    champion_n: int
    challenger_n: int
    days: int
    first: date
    last: date

    @property
    def elapsed(self) -> int:
        """How many days it lasted, those without answers included."""
        return (self.last - self.first).days + 1


def estimated(answers: pl.DataFrame, design: Design) -> Estimate | None:
    """The difference on matured days on which both arms answered; None while there is none."""
    both = _comparable(answers, design)
    if both.is_empty():
        return None
    found = _shadow(both) if design == "shadow" else _randomised(both)
    arms = {bool(arm): of_arm for (arm,), of_arm in both.group_by("challenger")}
    return Estimate(
        *found,
        champion=float(arms[False]["loss"].to_numpy().mean()),
        challenger=float(arms[True]["loss"].to_numpy().mean()),
        champion_n=arms[False].height,
        challenger_n=arms[True].height,
        days=both["day"].n_unique(),
        first=both["day"].to_list()[0],
        last=both["day"].to_list()[-1],
    )


def estimated_slices(answers: pl.DataFrame, design: Design, fields: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
    """Each slice that has enough of both arms to say anything, by its name as the evaluation gives it."""
    for field in fields:
        for (value,), rows in answers.group_by(field, maintain_order=True):
            found = None if value is None else estimated(rows, design)
            if found is not None and min(found.champion_n, found.challenger_n) >= _FEWEST_ANSWERS:
                yield f"{field}={value}", found


def labelled_units(answers: pl.DataFrame) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of champion and challenger, the units on matured days, and how many of them have a label."""
    units = _matured(answers).group_by("challenger", "unit").agg(labelled=pl.col("loss").count() > 0)
    counted = units.group_by("challenger").agg(units=pl.len(), labelled=pl.col("labelled").sum())
    found = {bool(arm): (of_arm, labelled) for arm, of_arm, labelled in counted.iter_rows()}
    (champion, champion_labelled), (challenger, challenger_labelled) = (found.get(arm, (0, 0)) for arm in (False, True))
    return (champion, challenger), (champion_labelled, challenger_labelled)


def missing_share(answers: pl.DataFrame, design: Design) -> float:
    """How much of the log is missing: of a shadow the requests without its answer, else the days without one of the arms.

    A day on which a small share may well have had no request is not missing.
    """
    arms = answers.group_by("unit" if design == "shadow" else "day").agg(
        champion=(~pl.col("challenger")).sum(), challenger=pl.col("challenger").sum(), rows=pl.len()
    )
    if design == "shadow":
        missing = arms.filter(pl.col("champion") > 0).select(pl.col("challenger") == 0)
    else:
        shares = [float(arms[name].sum()) / max(answers.height, 1) for name in ("champion", "challenger")]
        expected = [pl.col("rows") * share > _SURELY_SOME for share in shares]
        missing = arms.select(((pl.col("champion") == 0) & expected[0]) | ((pl.col("challenger") == 0) & expected[1]))
    return 0.0 if missing.is_empty() else float(missing.to_series().to_numpy().mean())


def _matured(answers: pl.DataFrame) -> pl.DataFrame:
    """The answers of days whose labels have mostly arrived, as `checks.days.matured` has it."""
    shares = answers.group_by("day").agg(share=pl.col("loss").count() / pl.len())
    usual = shares["share"].median()
    mature = shares.filter(pl.col("share") >= MATURE_SHARE * pl.lit(usual), pl.col("share") > 0)
    return answers.join(mature, on="day", how="semi")


def _comparable(answers: pl.DataFrame, design: Design) -> pl.DataFrame:
    together = "unit" if design == "shadow" else "day"
    labelled = _matured(answers).filter(pl.col("loss").is_not_null())
    arm = pl.col("challenger")
    return labelled.filter(arm.any().over(together) & ~arm.all().over(together)).sort("day", "unit", "challenger", "loss")


def _shadow(both: pl.DataFrame) -> tuple[float, float, float, float]:
    signed = pl.when("challenger").then("loss").otherwise(-pl.col("loss"))
    paired = both.group_by("unit", maintain_order=True).agg(pl.col("day").first(), difference=signed.sum())
    days = paired.group_by("day").agg(pl.col("difference").mean(), n=pl.len()).sort("day")
    looks = paired_looks(days["difference"].to_numpy(), days["n"].to_numpy())
    estimate, error, freedom = (float(of_all[-1]) for of_all in looks)
    return estimate, error, freedom, error


def _randomised(both: pl.DataFrame) -> tuple[float, float, float, float]:
    unit, day = (both[name].rank("dense").to_numpy().astype(np.int64) - 1 for name in ("unit", "day"))
    found = unit_difference(unit, day, both["challenger"].to_numpy(), both["loss"].to_numpy())
    units = min(both.group_by("challenger").agg(pl.col("unit").n_unique())["unit"].to_list())
    known = units >= _FEWEST_UNITS
    return found.estimate, found.error if known else np.inf, float(units - 1), found.error_on_these_days if known else np.inf
