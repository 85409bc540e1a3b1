"""The spans of traffic that have closed by now, whether an update has written them or not."""

from datetime import datetime, timedelta, timezone

import polars as pl
import pytest

from lake.home import Home
from tests.parcel_log import LOG_FROM, answers, append_log, parcels_sent, write_history
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.windows.closed import Closed, closed_spans
from trainserve_assets.windows.update import update_windows

MIDNIGHT = datetime(LOG_FROM.year, LOG_FROM.month, LOG_FROM.day, tzinfo=timezone.utc)
NOON = MIDNIGHT + timedelta(hours=12)
SENT = parcels_sent(LOG_FROM, 2, per_day=1_440)  # one each minute, at its half


def log(home: Home, since: datetime, until: datetime, source: str = "spool") -> None:
    """Ship what was sent in this time, each parcel a second after it was sent."""
    sent = SENT.filter(pl.col("sent_at").is_between(since, until, closed="left"))
    append_log(home.lake, answers(sent), source=source)


def rows(closed: Closed) -> dict[datetime, float]:
    """How many rows each span had."""
    counted = closed.figures.filter(metric="rows")
    return dict(zip(counted["span_start_utc"], counted["value"], strict=True))


@pytest.fixture
def updated(home: Home) -> Home:
    """A lake whose windows were brought up to date two minutes after noon."""
    write_history(home.lake, days=30)
    log(home, MIDNIGHT, NOON + timedelta(minutes=2))
    update_windows(home.lake, parcel_schema(), 92, 0.01)
    return home


def test_a_span_that_ended_since_the_last_update_is_read_from_the_log(updated: Home) -> None:
    log(updated, NOON + timedelta(minutes=2), NOON + timedelta(minutes=10), "later")

    closed = closed_spans(updated.lake, USE_CASE, NOON + timedelta(minutes=10, seconds=1))

    assert closed.until == NOON + timedelta(minutes=10)
    assert rows(closed)[NOON - timedelta(minutes=5)] == 5.0, "from the windows"
    assert [rows(closed)[NOON + timedelta(minutes=minutes)] for minutes in (0, 5)] == [5.0, 5.0]
    assert len(rows(closed)) == closed.figures.filter(metric="rows").height == 12 * 12 + 2


def test_a_span_that_is_not_over_is_not_there_though_it_has_rows(updated: Home) -> None:
    closed = closed_spans(updated.lake, USE_CASE, NOON + timedelta(minutes=2))

    assert closed.until == NOON
    assert max(rows(closed)) == NOON - timedelta(minutes=5)


def test_in_silence_the_clock_goes_on_and_what_came_before_still_counts(updated: Home) -> None:
    closed = closed_spans(updated.lake, USE_CASE, NOON + timedelta(minutes=20, seconds=1))

    assert closed.until == NOON + timedelta(minutes=20)
    assert rows(closed)[NOON] == 2.0
    assert NOON + timedelta(minutes=5) not in rows(closed)


def test_rows_of_a_span_may_stand_anywhere_in_the_log(updated: Home) -> None:
    sent = SENT.filter(pl.col("sent_at").is_between(NOON - timedelta(minutes=20), NOON + timedelta(minutes=10), closed="left"))
    shuffled = pl.concat([sent[1::2], sent[::2].reverse()])
    append_log(updated.lake, answers(shuffled, request_id=pl.format("again-{}", "parcel_id")), source="later")

    closed = closed_spans(updated.lake, USE_CASE, NOON + timedelta(minutes=10, seconds=1))

    assert [rows(closed)[NOON + timedelta(minutes=minutes)] for minutes in (-5, 0, 5)] == [5.0, 7.0, 5.0]
    assert len(rows(closed)) == 12 * 12 + 2


def test_after_midnight_the_last_span_of_the_day_before_is_there_too(updated: Home) -> None:
    log(updated, NOON + timedelta(minutes=2), MIDNIGHT + timedelta(days=1, minutes=5), "later")

    closed = closed_spans(updated.lake, USE_CASE, MIDNIGHT + timedelta(days=1, minutes=5, seconds=1))

    assert rows(closed)[MIDNIGHT + timedelta(hours=23, minutes=55)] == 5.0
    assert rows(closed)[MIDNIGHT + timedelta(days=1)] == 5.0


def test_a_log_to_which_nothing_came_for_a_week_has_ended(updated: Home) -> None:
    assert closed_spans(updated.lake, USE_CASE, NOON + timedelta(days=8)).until == NOON


def test_before_the_first_prediction_there_is_none(home: Home) -> None:
    closed = closed_spans(home.lake, USE_CASE, NOON)

    assert (closed.figures.height, closed.until) == (0, NOON)
