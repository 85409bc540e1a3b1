"""The claim `volume_is_as_expected`."""

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl

from checks.volume import volume_is_as_expected

LOG_FROM = datetime(2013, 7, 1, tzinfo=timezone.utc)
NOON = LOG_FROM + timedelta(days=10, hours=12)


def hours(first: datetime, days: int, seed: int, clock_hours: int = 0) -> pl.DataFrame:
    """Requests that come by day, 60 an hour and half of that on Sundays; `clock_hours` is how much later people's clocks run."""
    generator = np.random.default_rng(seed)
    times = [first + timedelta(hours=hour) for hour in range(24 * days)]
    local = [time - timedelta(hours=clock_hours) for time in times]
    means = [60 * max(0.0, np.sin((time.hour - 5) / 19 * np.pi)) * (0.5 if time.weekday() == 6 else 1.0) for time in local]
    frame = pl.DataFrame(
        {"hour": times, "rows": generator.poisson(means)}, schema={"hour": pl.Datetime("us", "UTC"), "rows": pl.Int64}
    )
    return frame.filter(pl.col("rows") > 0)


EXAMPLES = hours(LOG_FROM - timedelta(weeks=20), 20 * 7, seed=1)


def test_usual_weeks_raise_hardly_any_alarm() -> None:
    alarms = sum(not volume_is_as_expected(hours(LOG_FROM, 14, seed), EXAMPLES, 5.0).passed for seed in range(50))

    assert alarms <= 1


def test_an_hour_without_requests_is_an_alarm_that_names_it() -> None:
    verdict = volume_is_as_expected(hours(LOG_FROM, 14, seed=2).filter(pl.col("hour") != NOON), EXAMPLES, 5.0)

    assert not verdict.passed
    assert "1 of 168 hours are off" in verdict.reason
    assert "2013-07-11 12:00 UTC with 0 rows" in verdict.reason


def test_an_hour_with_twice_the_requests_is_an_alarm() -> None:
    twice = hours(LOG_FROM, 14, seed=2).with_columns(
        rows=pl.when(pl.col("hour") == NOON).then(pl.col("rows") * 2).otherwise("rows")
    )

    assert not volume_is_as_expected(twice, EXAMPLES, 5.0).passed


def test_an_outage_that_lasts_until_now_is_seen_as_soon_as_anything_is_logged_again() -> None:
    logged = hours(LOG_FROM, 14, seed=2)
    outage = logged.filter(
        ~pl.col("hour").is_between(NOON, NOON + timedelta(hours=8)), pl.col("hour") < NOON + timedelta(hours=10)
    )

    assert not volume_is_as_expected(outage, EXAMPLES, 5.0).passed


def test_a_change_of_clocks_is_no_alarm() -> None:
    assert volume_is_as_expected(hours(LOG_FROM, 7, seed=2, clock_hours=1), EXAMPLES, 5.0).passed


def test_the_first_and_the_last_logged_hour_may_be_cut_off() -> None:
    logged = hours(LOG_FROM + timedelta(hours=12), 3, seed=2)
    cut = logged.with_columns(rows=pl.when(pl.int_range(pl.len()).is_in([0, logged.height - 1])).then(1).otherwise("rows"))

    assert volume_is_as_expected(cut, EXAMPLES, 5.0).passed


def test_a_long_log_is_its_own_history() -> None:
    logged = hours(LOG_FROM, 60, seed=2)

    assert volume_is_as_expected(logged, EXAMPLES.clear(), 5.0).passed
    halved = logged.with_columns(
        rows=pl.when(pl.col("hour") > LOG_FROM + timedelta(days=57)).then(pl.col("rows") // 8).otherwise("rows")
    )
    assert not volume_is_as_expected(halved, EXAMPLES.clear(), 5.0).passed


def test_years_between_examples_and_log_are_not_taken_for_an_outage() -> None:
    old = EXAMPLES.with_columns(pl.col("hour").dt.offset_by("-104w"))

    assert volume_is_as_expected(hours(LOG_FROM, 14, seed=2), old, 5.0).passed


def test_without_history_nothing_is_judged_and_that_is_a_failure() -> None:
    verdict = volume_is_as_expected(hours(LOG_FROM, 14, seed=2), EXAMPLES.clear(), 5.0)

    assert not verdict.passed
    assert verdict.observed is None
    assert "no hour can be judged" in verdict.reason


def test_an_empty_log_fails() -> None:
    verdict = volume_is_as_expected(EXAMPLES.clear(), EXAMPLES, 5.0)

    assert not verdict.passed
    assert verdict.reason == "no request has been logged"
