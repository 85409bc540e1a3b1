"""Moments are written in UTC and read with their offset; text that names no moment is a ValueError, whatever is wrong."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.times import now_utc, rfc3339, utc

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001 - zones are drawn apart


@given(MOMENTS)
def test_a_written_moment_is_read_back_to_the_millisecond(moment: datetime) -> None:
    text = rfc3339(moment)

    assert text.endswith("Z")
    assert timedelta() <= moment - utc(text) < timedelta(milliseconds=1)


@given(MOMENTS, MOMENTS)
def test_written_moments_sort_as_they_follow_each_other(one: datetime, other: datetime) -> None:
    first, second = sorted([one, other])

    assert rfc3339(first) <= rfc3339(second)


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31T14:00:00+02:00", "2026-01-31T12:00:00.000000+00:00"])
def test_the_same_moment_is_read_from_any_offset(text: str) -> None:
    assert utc(text) == datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    assert utc(text).tzinfo == timezone.utc


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00", "2026-01-31", "2026-01-31 12:00"])
def test_a_moment_without_its_offset_is_refused_and_told_why(text: str) -> None:
    with pytest.raises(ValueError, match="does not say its offset from UTC"):
        utc(text)


@pytest.mark.parametrize("text", ["", "soon", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_what_names_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        utc(text)


def test_the_clock_says_its_offset() -> None:
    assert now_utc().utcoffset() == timedelta()
