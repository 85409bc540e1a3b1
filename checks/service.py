"""Whether requests are answered, and in time: status and latency against the levels that the use case promises.

Both ask for two spans of five minutes on end: one may be a deployment, or a single client.
"""

import polars as pl

from checks.traffic import SPAN, STANDING_SPANS
from checks.verdict import Verdict

# One failure is none of a service.
_FEWEST_FAILURES = 3


def requests_are_answered(spans: pl.DataFrame, greatest_failed_share: float) -> Verdict:
    """Whether in no two spans on end of the newest hour more than this share of the requests failed.

    `spans` has for each span that had rows `start`, `rows` and `failed`. What a client got wrong is refused, which is no failure;
    nor is what was meant to be inactive.
    """
    recent = _newest_hour(spans)
    if recent.is_empty():
        return Verdict(passed=False, reason="no request has been logged", limit=greatest_failed_share)
    lasting = _on_end(recent, pl.col("failed") > greatest_failed_share * pl.col("rows"))
    rows, failed = int(recent["rows"].sum()), int(recent["failed"].sum())
    bad = not lasting.is_empty() and failed >= _FEWEST_FAILURES
    since = f", in two spans on end more than {greatest_failed_share:.1%}, since {lasting[0]:%Y-%m-%d %H:%M} UTC" if bad else ""
    return Verdict(
        passed=not bad,
        reason=f"{failed:,} of {rows:,} requests of the newest hour failed{since}",
        observed=failed / rows,
        limit=greatest_failed_share,
        rows=rows,
        remedy="roll back" if bad else None,
    )


def answers_come_in_time(spans: pl.DataFrame, greatest_p99_us: float) -> Verdict:
    """Whether in no two spans on end of the newest hour the slowest hundredth of the answers took longer than this.

    `spans` has `start`, `answered` and `latency_p99_us`.
    """
    recent = _newest_hour(spans.filter(pl.col("answered") > 0))
    if recent.is_empty():
        return Verdict(passed=False, reason="no request has been answered", limit=greatest_p99_us)
    lasting = _on_end(recent, pl.col("latency_p99_us") > greatest_p99_us)
    rows, bad = int(recent["answered"].sum()), not lasting.is_empty()
    observed = max(map(min, zip(recent["latency_p99_us"], recent["latency_p99_us"][1:], strict=False)), default=0.0)
    since = f", longer than {greatest_p99_us:,.0f} us since {lasting[0]:%Y-%m-%d %H:%M} UTC" if bad else ""
    reason = f"the slowest hundredth took {observed:,.0f} us in two spans on end{since}; {rows:,} answers of the newest hour"
    return Verdict(
        passed=not bad, reason=reason, observed=observed, limit=greatest_p99_us, rows=rows, remedy="roll back" if bad else None
    )


def _newest_hour(spans: pl.DataFrame) -> pl.DataFrame:
    return spans.filter(pl.col("start") > pl.col("start").max() - STANDING_SPANS * SPAN).sort("start")


def _on_end(spans: pl.DataFrame, bad: pl.Expr) -> pl.Series:
    """The beginnings of the pairs of neighbouring spans that are both bad."""
    next_to_it = pl.col("start").shift(-1) - pl.col("start") == SPAN
    return spans.filter(bad & bad.shift(-1).fill_null(value=False) & next_to_it)["start"]
