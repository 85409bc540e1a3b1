"""Champion against challenger: what is decided, and how rarely wrongly."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from checks.experiment import Comparison, compare
from checks.sample_ratio import Assignment

FIRST = date(2013, 7, 1)
SHARE = 0.3


def experiment(seed: int, *, days: int = 28, units: int = 300, effect: float = 0.0, day_effect: float = 0.0) -> pl.DataFrame:
    """Losses of 100 answers a day about units that keep their arm, and that are hard or easy for good; days differ too.

    `effect` is what the challenger loses more, `day_effect` by how much that differs from day to day.
    """
    generator = np.random.default_rng(seed)
    arm = generator.random(units) < SHARE
    hard, day_shock = generator.normal(0, 0.3, units), generator.normal(0, 0.2, days)
    extra = effect + generator.normal(0, day_effect, days)
    day, unit = np.repeat(np.arange(days), 100), generator.integers(0, units, days * 100)
    loss = 0.5 + hard[unit] + day_shock[day] + generator.gamma(1.0, 0.4, len(day)) + arm[unit] * extra[day]
    return pl.DataFrame(
        {
            "unit": unit.astype(str),
            "day": [FIRST + timedelta(days=int(one)) for one in day],
            "challenger": arm[unit],
            "loss": loss,
        }
    )


def planned(answers: pl.DataFrame, share: float = SHARE) -> list[Assignment]:
    units = answers.unique("unit")
    challengers = int(units["challenger"].sum())
    return [Assignment(units=(units.height - challengers, challengers), shares=(1 - share, share))]


def judged(answers: pl.DataFrame) -> Comparison:
    return compare(answers, planned(answers), "log_loss")


@pytest.mark.parametrize("day_effect", [0.0, 0.15])
def test_equal_arms_are_hardly_ever_told_apart_though_one_looks_every_few_days(day_effect: float) -> None:
    wrong = 0
    for seed in range(60):
        answers = experiment(seed, day_effect=day_effect)
        looks = [answers.filter(pl.col("day") < FIRST + timedelta(days=days)) for days in range(7, 29, 3)]
        wrong += any(judged(look).verdict in ("go", "no-go") for look in looks)

    assert wrong / 60 <= 0.05


@pytest.mark.parametrize(("effect", "verdict"), [(-0.4, "go"), (0.4, "no-go")])
def test_a_clear_difference_is_decided_by_its_sign(effect: float, verdict: str) -> None:
    found = judged(experiment(1, effect=effect))

    assert found.verdict == verdict
    assert found.difference == pytest.approx(effect, abs=0.15)
    assert found.low is not None
    assert found.high is not None
    assert found.low < effect < found.high
    assert "over 28 days" in found.reason


def test_the_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(40):
        found = judged(experiment(seed, days=14, effect=0.1))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high

    assert held >= 38


def test_a_storm_that_meets_mostly_one_arm_does_not_count_against_it() -> None:
    calm, storm = experiment(1, days=14), experiment(2, days=14)
    shifted = storm.filter(pl.col("challenger") | (pl.int_range(pl.len()) % 10 == 0)).with_columns(
        pl.col("day").dt.offset_by("14d"), pl.col("loss") + 2.0
    )
    found = judged(pl.concat([calm, shifted]))

    assert found.champion_value is not None
    assert found.challenger_value is not None
    assert found.challenger_value - found.champion_value > 0.5
    assert found.difference == pytest.approx(0.0, abs=0.2)


def test_six_days_are_never_enough() -> None:
    found = judged(experiment(1, days=6, effect=-2.0))

    assert found.verdict == "keep running"
    assert "6 days are too few" in found.reason


def test_arms_that_did_not_get_their_shares_are_not_compared() -> None:
    answers = experiment(1, units=3_000, effect=-2.0)

    found = compare(answers, planned(answers, share=0.5), "log_loss")

    assert found.verdict == "invalid"
    assert "planned shares" in found.reason


def test_an_unknown_plan_makes_a_comparison_invalid() -> None:
    found = compare(experiment(1, effect=-2.0), [], "log_loss")

    assert found.verdict == "invalid"
    assert "not known" in found.reason


def test_days_on_which_only_one_arm_answered_are_left_out() -> None:
    answers = experiment(1, days=14)
    cut = answers.filter(~pl.col("challenger") | (pl.col("day") < FIRST + timedelta(days=10)))

    assert judged(cut).days == 10


@pytest.mark.parametrize("arms", [[], [False]])
def test_without_both_arms_it_keeps_running(arms: list[bool]) -> None:
    answers = experiment(1).filter(pl.col("challenger").is_in(arms))

    found = compare(answers, [], "log_loss")

    assert found.verdict == "keep running"
    assert found.difference is None
    assert "no day yet" in found.reason


def test_the_order_of_rows_decides_nothing() -> None:
    answers = experiment(1)

    assert judged(answers.sample(fraction=1.0, shuffle=True, seed=1)).difference == pytest.approx(
        judged(answers).difference, rel=1e-12
    )
