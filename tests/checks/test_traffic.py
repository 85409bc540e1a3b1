"""The claim `requests_come_as_usual`."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from checks.traffic import SPANS, requests_come_as_usual
from tests.checks import flights_spans
from tests.checks.requests import HISTORY_DAYS, LOG_FROM, alerts_a_week, days_judged, found_within, spans

NOON = LOG_FROM + timedelta(days=10, hours=12)
NO_EXAMPLES = pl.DataFrame(schema=SPANS)
EXAMPLES = spans(LOG_FROM - timedelta(days=HISTORY_DAYS), HISTORY_DAYS, seed=1)
LOG = spans(LOG_FROM, 14, seed=2)


def until(moment: datetime) -> pl.Expr:
    return pl.col("start") < moment


def test_a_usual_noon_passes_and_says_what_was_seen_and_expected() -> None:
    verdict = requests_come_as_usual(LOG.filter(until(NOON)), EXAMPLES, NOON)

    assert verdict.passed, verdict.reason
    assert verdict.observed == pytest.approx(verdict.limit, rel=0.5)
    assert "from 2013-07-11 11:00 to 12:00 UTC" in verdict.reason
    assert verdict.remedy is None


def test_silence_is_found_after_ten_minutes_though_nothing_more_is_logged() -> None:
    ten_minutes_later = NOON + timedelta(minutes=10)

    assert requests_come_as_usual(LOG.filter(until(NOON)), EXAMPLES, NOON).passed
    verdict = requests_come_as_usual(LOG.filter(until(NOON)), EXAMPLES, ten_minutes_later)

    assert not verdict.passed
    assert verdict.reason.startswith("no request came: 0 from 2013-07-11 12:00 to 12:10 UTC, where")
    assert verdict.remedy == "fix the source"


def test_three_times_as_many_are_found_after_ten_minutes() -> None:
    many = LOG.filter(until(NOON + timedelta(minutes=10))).with_columns(
        rows=pl.when(pl.col("start") >= NOON).then(pl.col("rows") * 3).otherwise("rows")
    )
    verdict = requests_come_as_usual(many, EXAMPLES, NOON + timedelta(minutes=10))

    assert not verdict.passed
    assert verdict.reason.startswith("too many requests: ")


def test_a_night_without_requests_is_none_of_silence() -> None:
    night = LOG_FROM + timedelta(days=10, hours=4)

    assert requests_come_as_usual(LOG.filter(until(night)), EXAMPLES, night).passed


def test_an_alarm_stands_for_an_hour_after_its_newest_evidence() -> None:
    outage = LOG.filter(~pl.col("start").is_between(NOON - timedelta(minutes=15), NOON, closed="left"))

    for minutes, passed in ((5, False), (45, False), (75, True)):
        now = NOON + timedelta(minutes=minutes)
        assert requests_come_as_usual(outage.filter(until(now)), EXAMPLES, now).passed is passed, minutes


def test_when_clocks_change_people_come_by_theirs() -> None:
    """On Sunday the 3rd of November New York's clocks go back: who opens at 12 UTC before opens at 13 UTC then."""
    sunday = datetime(2013, 11, 3, tzinfo=LOG_FROM.tzinfo)
    opened = pl.col("start").dt.hour().is_between(12, 20)
    before = spans(sunday - timedelta(days=62), 62, seed=3).filter(opened)
    after = spans(sunday, 3, seed=4).filter(opened).with_columns(pl.col("start") + pl.duration(hours=1))
    log, monday = pl.concat([before, after]), sunday + timedelta(days=1, hours=12, minutes=45)

    assert not requests_come_as_usual(log.filter(until(monday)), NO_EXAMPLES, monday, "UTC").passed
    assert requests_come_as_usual(log.filter(until(monday)), NO_EXAMPLES, monday, "America/New_York").passed


def test_a_long_log_is_its_own_history_and_one_day_of_outage_is_not_usual_a_week_later() -> None:
    log = spans(LOG_FROM, 60, seed=2).filter(pl.col("start").dt.date() != (NOON + timedelta(days=42)).date())
    week_later = NOON + timedelta(days=49)

    assert requests_come_as_usual(log.filter(until(week_later)), NO_EXAMPLES, week_later).passed
    silent = week_later + timedelta(minutes=15)
    assert not requests_come_as_usual(log.filter(until(week_later)), NO_EXAMPLES, silent).passed


def test_years_between_examples_and_log_are_not_taken_for_an_outage() -> None:
    old = EXAMPLES.with_columns(pl.col("start").dt.offset_by("-104w"))

    assert requests_come_as_usual(LOG.filter(until(NOON)), old, NOON).passed


def test_without_history_nothing_is_judged_and_that_is_a_failure() -> None:
    verdict = requests_come_as_usual(LOG.filter(until(NOON)), NO_EXAMPLES, NOON)

    assert (verdict.passed, verdict.observed) == (False, None)
    assert "no span can be judged" in verdict.reason


def test_an_empty_log_fails() -> None:
    verdict = requests_come_as_usual(NO_EXAMPLES, EXAMPLES, NOON)

    assert (verdict.passed, verdict.reason) == (False, "no request has been logged")


@pytest.mark.parametrize(("mean", "bursts"), [(6.0, 0.0), (60.0, 0.02)])
def test_half_a_year_of_usual_requests_raises_at_most_an_alert_in_five_weeks(mean: float, bursts: float) -> None:
    stream = spans(LOG_FROM - timedelta(days=HISTORY_DAYS), HISTORY_DAYS + 182, seed=5, mean=mean, bursts=bursts)

    assert alerts_a_week(list(days_judged(stream, LOG_FROM, 182))) <= 0.2


def test_on_the_flights_of_half_a_year_outages_are_found_within_ten_minutes_and_holidays_raise_few_alerts() -> None:
    judged = list(days_judged(flights_spans.spans(), flights_spans.FIRST, flights_spans.DAYS, flights_spans.TIME_ZONE))

    assert alerts_a_week(judged) <= 0.2
    assert found_within(judged, 0.0, spans_later=2) >= 0.95
    assert found_within(judged, 2.0, spans_later=2) >= 0.45
    assert found_within(judged, 2.0, spans_later=6) >= 0.9
