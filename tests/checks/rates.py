"""How often each check is wrong, and how soon it is right: `python -m tests.checks.rates` measures it, and prints the table.

What is real comes from the flights of 2013 (`flights_days.csv`, `flights_slices.csv`); it takes some minutes.
"""

import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.table import Table

from checks.calibration import daily_differences
from checks.experiment import UNEVEN
from checks.experiment_plan import ExperimentPlan
from checks.paired_days import PART_OF_ALPHA
from checks.sample_ratio import Assignment, sample_ratio_probability
from checks.shift import evidence, usual_variance
from checks.slices import base_rate_beaten_in_every_slice
from tests.checks import flights_days
from tests.checks.days import SKILL, sliced_days
from tests.checks.paired import Floats, blocks_of, wrong_gos
from tests.checks.sliced import EVEN, LARGEST, MOVED, UNEVEN_SIZES, bootstrapped, days_until_off, years_off
from tests.checks.test_drift import days_of_counts, seasonal_days, weeks_above
from tests.checks.test_experiment import wrong_decisions
from tests.checks.test_guardrails import stopped_without_harm
from tests.checks.test_paired_days import PAIRS, noise, power_of_one_look, real_null

RATE = 0.2
MAY, JUNE = "2013-06-01", "2013-07-01"
_BEGINS, _YEARS = 100, 60
Row = tuple[str, str, str]


def calibration() -> Iterator[Row]:
    """On real days, each month's own mean taken from them; then log odds move for good on the hundredth day."""
    for trained_until in (MAY, JUNE):
        days = flights_days.labelled_days(trained_until, trained_until)
        moved, usual = daily_differences(days, flights_days.training_rates(trained_until))
        month = np.array([day.day.month for day in days])
        right = moved - np.array([moved[month == one].mean() for one in month])
        years, _ = blocks_of(right, np.ones(len(right)), 2_000, 365, seed=1, swapped=False)
        yield "calibration", f"years with a false alarm, flights, trained until {trained_until}", f"{_alarms(years, usual):.1%}"
        for shift in (0.3, 0.5, 0.75, 1.0):
            name = f"days until an alarm, median and 90 %, log odds off by {shift:g}, same flights"
            yield "calibration", name, _delay(years, usual, shift)


def skill() -> Iterator[Row]:
    """Real daily differences of the loss to the base rate's, moved so that there is no skill on the whole, or less than none."""
    days = flights_days.labelled_days(JUNE, JUNE)
    more = np.array([day.loss - day.base_loss for day in days])
    usual = usual_variance(np.array([day.base_loss for day in days]))
    years, _ = blocks_of(more - more.mean(), np.ones(len(more)), 2_000, 365, seed=1, swapped=False)
    yield "skill", "years in which answers just without skill raise an error", f"{_alarms(years, usual, upwards=True):.1%}"
    yield "skill", "the same with the skill that they have", f"{_alarms(years + more.mean(), usual, upwards=True):.1%}"
    for shift in (0.05, 0.1):
        yield (
            "skill",
            f"days until an error, median and 90 %, losing {shift:g} more than the base rate",
            _delay(years, usual, shift),
        )


def slices() -> Iterator[Row]:
    """Looked at often enough that no alarm is missed, years; looked at daily, a slice whose log odds move on the fortieth day."""
    name = f"years with a false alarm of any of 14 slices, flights, trained until {MAY}, each slice right in each month"
    yield "by slice", name, f"{years_off(bootstrapped(seed) for seed in range(_YEARS)):.0%}"
    for what, sizes in (("5 slices of 60 to 300 rows a day", EVEN), ("13 slices of 5 to 300 rows a day", UNEVEN_SIZES)):
        years = (sliced_days(365, seed, sizes) for seed in range(_YEARS))
        yield "by slice", f"years with a false alarm of any of {what}, days that go together", f"{years_off(years):.0%}"
        for shift in (0.5, 1.0, -1.0):
            found = [days_until_off(sliced_days(120, seed, sizes, moved={MOVED: shift}, moved_from=40)) for seed in range(20)]
            days = f"{np.median(found):.0f}, {np.quantile(found, 0.9):.0f}"
            yield "by slice", f"days until an alarm, median and 90 %, log odds of 100 rows a day off by {shift:g}, {what}", days


def skill_by_slice() -> Iterator[Row]:
    """The same of skill: slices just without it beside others that have it; then one that loses it on the fortieth day."""
    claim = base_rate_beaten_in_every_slice
    for skilled, how in ((False, "each just without skill, beside others that have it"), (True, "with the skill that they have")):
        share = years_off((bootstrapped(seed, skilled=skilled) for seed in range(_YEARS)), claim)
        name = f"years with a false alarm of any of 14 slices, flights, trained until {MAY}, {how}"
        yield "skill by slice", name, f"{share:.0%}"
    for what, sizes in (("5 slices of 60 to 300 rows a day", EVEN), ("13 slices of 5 to 300 rows a day", UNEVEN_SIZES)):
        gone = {name: SKILL for name in sizes if name != LARGEST}
        years = (sliced_days(365, seed, sizes, lost=gone) for seed in range(_YEARS))
        name = f"years with a false alarm of any of {what}, all but the largest just without skill"
        yield "skill by slice", name, f"{years_off(years, claim):.0%}"
        for loses in (0.05, 0.1, 0.2):
            lost = {MOVED: SKILL + loses}
            found = [days_until_off(sliced_days(120, seed, sizes, lost=lost, moved_from=40), claim) for seed in range(20)]
            name = f"days until an alarm, median and 90 %, 100 rows a day losing {loses:g} more than the base rate, {what}"
            yield "skill by slice", name, f"{np.median(found):.0f}, {np.quantile(found, 0.9):.0f}"


def drift() -> Iterator[Row]:
    """One feature of 12 bins, half a year of training, 1 % allowed; days alone, and days that go together."""
    for rows in (100, 1_000):
        alone = np.mean(
            [
                weeks_above(days_of_counts(150, 800, 300.0, seed=seed), days_of_counts(2_800, rows, 300.0, seed=seed + 50), rows)
                for seed in range(8)
            ]
        )
        together = np.mean(
            [
                weeks_above(seasonal_days(180, 800, seed=10 + seed), seasonal_days(2_800, rows, seed=seed + 50), rows)
                for seed in range(8)
            ]
        )
        yield "drift", f"weeks with a false warning of one feature, {rows:,} rows a day, days alone", f"{alone:.1%}"
        yield "drift", f"the same, days that go together by 0.8, {rows:,} rows a day", f"{together:.1%}"


def sample_ratio() -> Iterator[Row]:
    """Looked at every 50 units."""
    generator = np.random.default_rng(2)
    for share in (0.5, 0.55):
        found = []
        for _ in range(300):
            first = np.cumsum(generator.random(10_000) < share)
            looks = range(50, 10_001, 50)
            probabilities = (_ratio(int(first[look - 1]), look) for look in looks)
            found.append(next((look for look, one in zip(looks, probabilities, strict=True) if one < UNEVEN), 0))
        seen = np.array(found)
        if share == 0.5:
            yield "sample ratio", "experiments of 10,000 units as planned that are called invalid", f"{(seen > 0).mean():.1%}"
        else:
            within = f"{np.median(seen):,.0f}, {np.mean((seen > 0) & (seen <= 3_000)):.0%}"
            yield "sample ratio", "units until 55/45 is found where 50/50 was planned: median, and found within 3,000", within


def guardrails() -> Iterator[Row]:
    """Two days of spans of five minutes, looked at every hour."""
    for bursts, name in ((1.0, "alone"), (0.05, "in bursts")):
        yield (
            "guardrails",
            f"challengers stopped that fail just as often as is allowed, {name}",
            f"{stopped_without_harm(bursts):.1%}",
        )


def experiments() -> Iterator[Row]:
    """A thousand of each and more, looked at daily from the seventh day on."""
    for day_effect in (0.0, 0.15):
        for design, wrong in wrong_decisions(1_000, day_effect).items():
            yield "A/B", f"wrong go's in four weeks, {design}, days differing by {day_effect:g}", f"{wrong:.1%}"
    for longest in (28, 56, 84, 182, None):
        plan, days = ExperimentPlan(longest_days=longest), longest or 365
        name = f"longest {longest} days" if longest else "no end, a year"
        yield "shadow", f"wrong go's, {name}, heavy-tailed days", f"{wrong_gos(noise(2_000, days), np.ones(days), plan):.1%}"
        for swapped, how in ((False, "as they are"), (True, "their arms exchanged by a coin")):
            shares = [
                wrong_gos(*real_null(until, pair, 2_000, days, swapped=swapped), plan) for until in (MAY, JUNE) for pair in PAIRS
            ]
            shown = f"{np.mean(shares):.1%}, {np.max(shares):.1%}"
            yield "shadow", f"the same, two-week blocks of real days {how}: mean and worst of six pairs", shown
        if longest is not None:
            once, daily = power_of_one_look(longest)
            yield (
                "shadow",
                f"power, {name}: one look at the end, daily looks, their ratio",
                f"{once:.2f}, {daily:.2f}, {daily / once:.2f}",
            )
    yield "shadow", "the part of alpha that is given to a test of days", f"{PART_OF_ALPHA:.2f}"


def _alarms(years: Floats, usual: float, *, upwards: bool = False) -> float:
    found = evidence(years, usual, RATE)
    either = found.up if upwards else np.maximum(found.up, found.down)
    return float((either >= 1).any(axis=1).mean())


def _delay(years: Floats, usual: float, shift: float) -> str:
    moved = years.copy()
    moved[:, _BEGINS:] += shift
    found = evidence(moved, usual, RATE).up[:, _BEGINS:] >= 1
    days = np.where(found.any(axis=1), found.argmax(axis=1) + 1, 365)
    median, late = np.quantile(days, [0.5, 0.9])
    return f"{median:.0f}, {late:.0f}" if late < 365 else f"{median:.0f}, not within the year"


def _ratio(first: int, units: int) -> float:
    return sample_ratio_probability([Assignment(units=(first, units - first), shares=(0.5, 0.5))])


def main() -> None:
    """Print the table."""
    table = Table("check", "what", "measured", title="How often each check is wrong, and how soon it is right")
    markdown = []
    for measure in (calibration, slices, skill, skill_by_slice, drift, sample_ratio, guardrails, experiments):
        for row in measure():
            table.add_row(*row)
            markdown.append("| " + " | ".join(row) + " |")
    Console().print(table)
    sys.stdout.write("\n".join(markdown) + "\n")


if __name__ == "__main__":
    main()
