"""The claims `nothing_comes_again_and_again` and `requests_come_once`."""

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from checks.repeats import nothing_comes_again_and_again, requests_come_once
from checks.traffic import SPAN

FIRST = datetime(2013, 7, 1, tzinfo=timezone.utc)


def counts(days: int, seed: int = 1) -> pl.DataFrame:
    """Fifty requests in each span, no input more than three times, and no key more than six."""
    generator = np.random.default_rng(seed)
    number = days * 288
    return pl.DataFrame(
        {
            "start": [FIRST + position * SPAN for position in range(number)],
            "rows": np.full(number, 50.0),
            "input": 1.0 + generator.binomial(2, 0.05, number),
            "key": 1.0 + generator.binomial(5, 0.3, number),
            "repeated": 1.0 * generator.binomial(50, 0.02, number),
        }
    )


def with_last(frame: pl.DataFrame, spans: int, **columns: float) -> pl.DataFrame:
    last = pl.int_range(pl.len()) >= pl.len() - spans
    return frame.with_columns(pl.when(last).then(pl.lit(value)).otherwise(name).alias(name) for name, value in columns.items())


def test_what_usually_comes_passes_in_every_hour_of_months() -> None:
    frame = counts(120)

    failing = [
        hour for hour in range(48, 120 * 24) if not nothing_comes_again_and_again(frame.head(hour * 12).tail(30 * 288)).passed
    ]

    assert failing == []


@pytest.mark.parametrize("what", ["input", "key"])
def test_a_stuck_client_is_found_after_two_spans_and_named_by_what_repeats(what: str) -> None:
    once = nothing_comes_again_and_again(with_last(counts(10), 1, **{what: 40.0}))
    twice = nothing_comes_again_and_again(with_last(counts(10), 2, **{what: 40.0}))

    assert once.passed
    assert not twice.passed
    assert twice.reason.startswith(f"one {what} came 40 times in each of two spans of five minutes, since 2013-07-10 23:50 UTC")
    assert (twice.observed, twice.remedy) == (40.0, "fix the source")


def test_a_client_that_is_stuck_for_hours_does_not_become_usual() -> None:
    assert not nothing_comes_again_and_again(with_last(counts(10), 36 * 12, input=40.0)).passed


def test_it_passes_an_hour_after_the_client_has_stopped() -> None:
    stopped = with_last(with_last(counts(10), 30, input=40.0), 13, input=1.0)

    assert nothing_comes_again_and_again(stopped).passed


def test_one_odd_day_does_not_blind_to_the_next() -> None:
    odd = counts(10).with_columns(
        input=pl.when(pl.col("start").dt.date() == (FIRST + timedelta(days=3)).date()).then(500.0).otherwise("input")
    )

    assert not nothing_comes_again_and_again(with_last(odd, 2, input=40.0)).passed


def test_where_one_client_sends_everything_its_own_history_is_the_limit() -> None:
    alone = counts(10).with_columns(key="rows")

    assert nothing_comes_again_and_again(alone).passed
    assert not nothing_comes_again_and_again(with_last(alone, 2, key=200.0)).passed


def test_on_the_first_day_it_is_not_known_and_without_requests_neither() -> None:
    young, empty = nothing_comes_again_and_again(counts(1)), nothing_comes_again_and_again(counts(1).clear())

    assert (young.passed, young.observed, empty.passed, empty.observed) == (False, None, False, None)
    assert "takes more than a day" in young.reason


@pytest.mark.parametrize("hours", [pytest.param(5), pytest.param(1, marks=pytest.mark.slow)])
def test_what_usually_comes_again_passes_at_every_hour_of_the_day_for_months(hours: int) -> None:
    frame = counts(120)

    failing = [hour for hour in range(48, 120 * 24, hours) if not requests_come_once(frame.head(hour * 12).tail(30 * 288)).passed]

    assert failing == []


def test_when_each_request_is_sent_twice_two_spans_say_so() -> None:
    verdict = requests_come_once(with_last(counts(10), 2, rows=100.0, repeated=50.0))

    assert not verdict.passed
    assert verdict.reason.startswith("100 requests of two spans of five minutes had come before in theirs, ")
    assert (verdict.observed, verdict.rows, verdict.remedy) == (100.0, 700, "fix the source")


def test_where_few_are_sent_and_none_usually_comes_again_two_pairs_in_each_of_two_spans_are_enough() -> None:
    few = counts(10).with_columns(rows=pl.lit(2.0), repeated=pl.lit(0.0))

    assert requests_come_once(with_last(few, 2, rows=3.0, repeated=1.0)).passed
    assert not requests_come_once(with_last(few, 2, rows=4.0, repeated=2.0)).passed


def test_where_half_of_the_requests_usually_come_again_twice_as_many_are_allowed() -> None:
    often = counts(10).with_columns(repeated=pl.lit(25.0))

    assert requests_come_once(often).passed
    assert requests_come_once(often).limit == 2 * 50 + 3


def test_what_is_repeated_is_not_known_of_windows_that_did_not_count_it_and_on_the_first_day() -> None:
    before = counts(10).with_columns(repeated=pl.lit(None, pl.Float64))

    for frame in (before, counts(1), counts(1).clear()):
        verdict = requests_come_once(frame)
        assert (verdict.passed, verdict.observed) == (False, None)
        assert "takes more than a day" in verdict.reason
