"""Champion against challenger: what is decided, and how rarely wrongly."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from checks.confidence_sequence import sequence_factor
from checks.experiment import Comparison, Evidence, compare
from checks.experiment_plan import ExperimentPlan
from checks.group_sequential import daily_boundaries
from checks.guardrails import Span
from checks.randomised_units import unit_difference
from checks.sample_ratio import Assignment
from tests.checks.paired import bounds, shadow_answers

FIRST = date(2013, 7, 1)
SHARE = 0.3
FOUR_WEEKS = ExperimentPlan(longest_days=28)
OPEN = ExperimentPlan()


def losses(
    seed: int, *, days: int = 28, units: int = 300, effect: float = 0.0, day_effect: float = 0.0
) -> dict[str, np.ndarray[Any, Any]]:
    """Losses of 100 answers a day about units that keep their arm, and that are hard or easy for good; days differ too.

    `effect` is what the challenger loses more, `day_effect` by how much that differs from day to day.
    """
    generator = np.random.default_rng(seed)
    arm = generator.random(units) < SHARE
    hard, day_shock = generator.normal(0, 0.3, units), generator.normal(0, 0.2, days)
    extra = effect + generator.normal(0, day_effect, days)
    day, unit = np.repeat(np.arange(days), 100), generator.integers(0, units, days * 100)
    loss = 0.5 + hard[unit] + day_shock[day] + generator.gamma(1.0, 0.4, len(day)) + arm[unit] * extra[day]
    return {"unit": unit, "day": day, "challenger": arm[unit], "loss": loss}


def experiment(seed: int, **setting: Any) -> pl.DataFrame:
    """The same as answers; half of the units are of one kind, half of the other."""
    drawn = losses(seed, **setting)
    days = [FIRST + timedelta(days=int(one)) for one in drawn["day"]]
    kind = np.where(drawn["unit"] % 2 == 0, "even", "odd")
    return pl.DataFrame({**drawn, "unit": drawn["unit"].astype(str), "day": days, "kind": kind})


def planned(answers: pl.DataFrame, share: float = SHARE) -> list[Assignment]:
    units = answers.unique("unit")
    challengers = int(units["challenger"].sum())
    return [Assignment(units=(units.height - challengers, challengers), shares=(1 - share, share))]


def judged(answers: pl.DataFrame, plan: ExperimentPlan = OPEN, **evidence: Any) -> Comparison:
    known = {"assignments": planned(answers), **evidence}
    return compare(Evidence(design="A/B", answers=answers, **known), plan, "log_loss")


def wrong_decisions(experiments: int, day_effect: float) -> dict[str, float]:
    """Of A/A experiments that are looked at daily over four weeks: the share that either design ever decides, on one side."""
    normal = {"group-sequential": daily_boundaries(7, 28, 0.025), "confidence sequence": sequence_factor(np.arange(7, 29), 0.05)}
    wrong = dict.fromkeys(normal, 0)
    for seed in range(experiments):
        drawn = losses(seed, day_effect=day_effect)
        looks = [unit_difference(**{name: values[: days * 100] for name, values in drawn.items()}) for days in range(7, 29)]
        found = np.array([look.estimate / look.error for look in looks])
        for design, factor in normal.items():
            wrong[design] += bool((found < -np.asarray(factor)).any())
    return {design: number / experiments for design, number in wrong.items()}


@pytest.mark.parametrize("day_effect", [0.0, 0.15])
def test_equal_arms_are_hardly_ever_go_though_one_looks_daily(day_effect: float) -> None:
    assert max(wrong_decisions(150, day_effect).values()) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("day_effect", [0.0, 0.15])
def test_of_a_thousand_experiments_with_equal_arms_at_most_one_in_twenty_is_ever_go(day_effect: float) -> None:
    assert max(wrong_decisions(1_000, day_effect).values()) <= 0.05


@pytest.mark.parametrize("plan", [OPEN, FOUR_WEEKS])
@pytest.mark.parametrize(("effect", "verdict"), [(-0.4, "go"), (0.4, "no-go")])
def test_a_clear_difference_is_decided_by_its_sign(effect: float, verdict: str, plan: ExperimentPlan) -> None:
    found = judged(experiment(1, effect=effect), plan)

    assert found.verdict == verdict
    assert found.method == ("group-sequential" if plan.longest_days else "confidence sequence")
    assert found.difference == pytest.approx(effect, abs=0.15)
    assert found.low is not None
    assert found.high is not None
    assert found.low < effect < found.high
    assert "over 28 days" in found.reason


def test_a_declared_end_finds_smaller_differences() -> None:
    answers = experiment(1)

    widths = [found.high - found.low for plan in (FOUR_WEEKS, OPEN) if (found := judged(answers, plan)).high and found.low]

    assert widths[0] < 0.75 * widths[1]


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
    assert "6 days with labelled answers of both arms are too few" in found.reason
    assert found.low is None


def test_an_experiment_that_ended_within_a_week_is_invalid() -> None:
    found = judged(experiment(1, days=6, effect=-2.0), ended=True)

    assert found.verdict == "invalid"
    assert "ended too early" in found.reason


def test_arms_that_did_not_get_their_shares_are_not_compared() -> None:
    answers = experiment(1, units=3_000, effect=-2.0)

    found = judged(answers, assignments=planned(answers, share=0.5))

    assert found.verdict == "invalid"
    assert "planned shares" in found.reason


def test_an_unknown_plan_makes_a_comparison_invalid() -> None:
    found = judged(experiment(1, effect=-2.0), assignments=())

    assert found.verdict == "invalid"
    assert "not known" in found.reason


def test_labels_that_come_to_one_arm_more_often_make_it_invalid() -> None:
    answers = experiment(1, units=3_000, effect=-2.0)
    lost = pl.col("challenger") & (pl.col("unit").cast(pl.Int64) % 3 == 0)

    found = judged(answers.with_columns(loss=pl.when(~lost).then("loss")))

    assert found.verdict == "invalid"
    assert "labels come to one arm more" in found.reason


def test_days_that_the_log_of_one_arm_lacks_are_left_out_and_too_many_make_it_invalid() -> None:
    answers = experiment(1, days=28, effect=-0.4)

    def cut(last: int) -> Comparison:
        return judged(answers.filter(~pl.col("challenger") | (pl.col("day") < FIRST + timedelta(days=last))))

    assert (cut(26).days, cut(26).verdict) == (26, "go")
    assert cut(14).verdict == "invalid"
    assert "50% of days have answers of one arm alone" in cut(14).reason


def test_a_day_whose_labels_have_not_arrived_does_not_count_yet() -> None:
    last = pl.col("day") == FIRST + timedelta(days=13)
    answers = experiment(1, days=14).with_columns(loss=pl.when(~last | (pl.int_range(pl.len()) % 2 == 0)).then("loss"))

    assert judged(answers).days == 13


@pytest.mark.parametrize("arms", [[], [False]])
def test_without_both_arms_it_keeps_running(arms: list[bool]) -> None:
    answers = experiment(1)

    found = judged(answers.filter(pl.col("challenger").is_in(arms)), assignments=planned(answers))

    assert found.verdict == "keep running"
    assert found.difference is None
    assert "0 days with labelled answers of both arms" in found.reason


def test_the_order_of_rows_decides_nothing() -> None:
    answers = experiment(1)

    assert judged(answers.sample(fraction=1.0, shuffle=True, seed=1)) == judged(answers)


def test_a_challenger_that_is_hardly_worse_is_go_where_the_margin_allows_it() -> None:
    answers = experiment(1, units=3_000, effect=0.01)

    assert judged(answers, ExperimentPlan(margin=0.1, longest_days=28)).verdict == "go"
    assert judged(answers, FOUR_WEEKS).verdict != "go"


def test_a_challenger_that_fails_requests_is_stopped_before_any_label_comes() -> None:
    answers = experiment(1, days=2).with_columns(loss=pl.lit(None, pl.Float64))
    spans = [Span(champion=70, champion_failed=0, challenger=30, challenger_failed=3, challenger_slow=0)] * 40

    found = judged(answers, spans=spans)

    assert found.verdict == "no-go"
    assert found.harms == ("failed requests",)
    assert "failed requests +0.1000" in found.reason


def test_a_challenger_that_is_far_worse_is_stopped_within_days() -> None:
    found = judged(experiment(1, days=3, effect=1.0))

    assert found.verdict == "no-go"
    assert found.harms == ("loss",)


def test_the_slice_in_which_the_challenger_is_worst_is_named_and_may_stop_it() -> None:
    worse = pl.when(pl.col("challenger") & (pl.col("kind") == "odd")).then(0.5).otherwise(-0.5)
    answers = experiment(1).with_columns(loss=pl.col("loss") + pl.when("challenger").then(worse).otherwise(0.0))

    found = judged(answers, slices=["kind"])
    strict = judged(answers, ExperimentPlan(greatest_slice_increase=0.05), slices=["kind"])

    assert found.worst_slice is not None
    assert found.worst_slice.name == "kind=odd"
    assert found.worst_slice.low > 0.1
    assert found.verdict != "no-go"
    assert (strict.verdict, strict.harms) == ("no-go", ("loss of kind=odd",))


def test_what_can_no_longer_be_decided_in_time_is_futile_by_its_last_day() -> None:
    found = judged(experiment(1, days=20, effect=0.05), FOUR_WEEKS)

    assert found.verdict == "no-go"
    assert found.futile_by == date(2013, 7, 28)
    assert "futile by 2013-07-28" in found.reason


def test_a_challenger_that_is_as_good_after_the_longest_duration_is_no_go() -> None:
    found = judged(experiment(3), FOUR_WEEKS)

    assert found.verdict == "no-go"
    assert "the longest duration is over, on 2013-07-28" in found.reason


def test_an_experiment_without_an_end_is_never_futile() -> None:
    assert judged(experiment(3)).verdict == "keep running"


def shadowed(answers: pl.DataFrame, plan: ExperimentPlan = OPEN) -> Comparison:
    return compare(Evidence(design="shadow", answers=answers), plan, "log_loss")


@pytest.mark.parametrize("plan", [OPEN, FOUR_WEEKS])
def test_a_shadow_is_judged_by_its_daily_differences(plan: ExperimentPlan) -> None:
    daily = np.random.default_rng(5).normal(-0.05, 0.05, 28)

    found = shadowed(shadow_answers(daily), plan)

    low, high = bounds(daily, np.ones(28), plan)
    assert found.verdict == "go"
    assert (found.low, found.high) == pytest.approx((low[-1], high[-1]))
    assert found.difference == pytest.approx(daily.mean())


def test_a_shadow_that_answered_too_few_of_the_requests_is_invalid() -> None:
    answers = shadow_answers(np.full(28, -0.05))
    some = pl.col("unit").str.extract(r"(\d+)").cast(pl.Int64) % 4 == 0

    found = shadowed(answers.filter(~(pl.col("challenger") & some)))

    assert found.verdict == "invalid"
    assert "25% of requests have no answer of the shadow" in found.reason
