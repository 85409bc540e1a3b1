"""The claims `requests_are_answered` and `answers_come_in_time`."""

from datetime import datetime, timezone

import polars as pl

from checks.service import answers_come_in_time, requests_are_answered
from checks.traffic import SPAN

FIRST = datetime(2013, 7, 1, tzinfo=timezone.utc)


def spans(failed: list[float], p99_us: float = 2_000.0) -> pl.DataFrame:
    """Spans of a hundred requests, of which so many failed."""
    return pl.DataFrame(
        {
            "start": [FIRST + number * SPAN for number in range(len(failed))],
            "rows": [100.0] * len(failed),
            "failed": failed,
            "answered": [100.0 - one for one in failed],
            "latency_p99_us": [p99_us] * len(failed),
        }
    )


def test_failures_in_two_spans_on_end_are_an_error_and_in_one_they_are_not() -> None:
    assert requests_are_answered(spans([0.0, 0.0, 50.0, 0.0]), 0.02).passed
    verdict = requests_are_answered(spans([0.0, 0.0, 50.0, 40.0]), 0.02)

    assert not verdict.passed
    assert (
        verdict.reason
        == "90 of 400 requests of the newest hour failed, in two spans on end more than 2.0%, since 2013-07-01 00:10 UTC"
    )
    assert (verdict.observed, verdict.limit, verdict.rows, verdict.remedy) == (0.225, 0.02, 400, "roll back")


def test_spans_that_are_apart_are_not_on_end() -> None:
    apart = spans([50.0, 0.0, 50.0]).filter(pl.col("failed") > 0)

    assert requests_are_answered(apart, 0.02).passed


def test_what_is_an_hour_ago_is_over() -> None:
    assert requests_are_answered(spans([50.0, 50.0, *[0.0] * 12]), 0.02).passed


def test_slow_answers_in_two_spans_on_end_are_told_with_how_slow_they_were() -> None:
    slow = spans([0.0] * 6).with_columns(
        latency_p99_us=pl.when(pl.int_range(pl.len()) >= 4).then(300_000.0).otherwise("latency_p99_us")
    )

    assert answers_come_in_time(slow.head(5), 250_000).passed
    verdict = answers_come_in_time(slow, 250_000)
    assert not verdict.passed
    assert "took 300,000 us in two spans on end, longer than 250,000 us since 2013-07-01 00:20 UTC" in verdict.reason


def test_without_requests_or_answers_both_fail_for_want_of_evidence() -> None:
    none = spans([0.0]).clear()

    assert (requests_are_answered(none, 0.02).observed, answers_come_in_time(none, 1.0).observed) == (None, None)
    assert not requests_are_answered(none, 0.02).passed
    assert not answers_come_in_time(spans([100.0]), 1.0).passed
