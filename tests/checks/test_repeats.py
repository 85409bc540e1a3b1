"""The claim `nothing_comes_again_and_again`."""

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from checks.repeats import nothing_comes_again_and_again
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
