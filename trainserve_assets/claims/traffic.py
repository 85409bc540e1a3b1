"""Claims about traffic: how much is asked, how often the same, and whether it is answered in time."""

from collections.abc import Mapping

import polars as pl

from checks.repeats import nothing_comes_again_and_again, requests_come_once
from checks.service import answers_come_in_time, requests_are_answered
from checks.traffic import SPANS, requests_come_as_usual
from checks.verdict import Verdict
from lake.tables import DATASET
from trainserve_assets.claims.seen import ERROR, WARN, Claim, Seen
from trainserve_assets.windows.metrics import ROWS
from trainserve_assets.windows.spans import ONE_INPUT, ONE_KEY, REPEATED

_ALL = "all arms"


def _traffic(seen: Seen) -> Mapping[str, Verdict]:
    logged = _figures(seen.closed.figures, ROWS).select("start", pl.col("rows").cast(pl.Int64))
    zone = seen.use_case.monitoring.time_zone
    return {_ALL: requests_come_as_usual(logged, _examples(seen), seen.closed.until, zone)}


def _repeats(seen: Seen) -> Mapping[str, Verdict]:
    counts = _figures(seen.closed.figures, ROWS, ONE_INPUT, ONE_KEY).rename({ONE_INPUT: "input", ONE_KEY: "key"})
    return {_ALL: nothing_comes_again_and_again(counts)}


def _once(seen: Seen) -> Mapping[str, Verdict]:
    return {_ALL: requests_come_once(_figures(seen.closed.figures, ROWS, REPEATED).rename({REPEATED: "repeated"}))}


def _failures(seen: Seen) -> Mapping[str, Verdict]:
    return {
        _ALL: requests_are_answered(_figures(seen.closed.figures, ROWS, "failed"), seen.use_case.monitoring.greatest_failed_share)
    }


def _latency(seen: Seen) -> Mapping[str, Verdict]:
    spans = _figures(seen.closed.figures, ROWS, "answered", "latency_p99_us")
    return {_ALL: answers_come_in_time(spans, seen.use_case.monitoring.greatest_latency_p99_us)}


CLAIMS = {
    "requests_come_as_usual": Claim(
        _traffic,
        ERROR,
        "In the newest hour neither silence nor twice as many requests showed, against the same time of the week.",
        cron="*/5 * * * *",
    ),
    "nothing_comes_again_and_again": Claim(
        _repeats, WARN, "In the newest hour no input and no key came far more often than it ever did in four weeks."
    ),
    "requests_come_once": Claim(
        _once, WARN, "In the newest hour hardly any request was one that had come in the same five minutes already."
    ),
    "requests_are_answered": Claim(_failures, ERROR, "In the newest hour no more requests failed than the use case allows."),
    "answers_come_in_time": Claim(
        _latency, WARN, "In the newest hour the slowest hundredth of the answers was within its limit."
    ),
}


def _figures(spans: pl.DataFrame, *metrics: str) -> pl.DataFrame:
    """One row for each span that had rows: its `start`, and these figures."""
    mine = spans.filter(pl.col("metric").is_in(metrics))
    wide = mine.pivot("metric", on_columns=list(metrics), index="span_start_utc", values="value").sort("span_start_utc")
    return wide.rename({"span_start_utc": "start"})


def _examples(seen: Seen) -> pl.DataFrame:
    """How many examples the dataset has for each span of event time."""
    dataset, time = seen.lake.table(seen.use_case.name, DATASET), seen.use_case.input_schema.event_time
    if time is None or not dataset.exists():
        return pl.DataFrame(schema=SPANS)
    spans = dataset.scan().group_by(pl.col(time).dt.truncate("5m").alias("start"))
    return spans.agg(rows=pl.len().cast(pl.Int64)).sort("start").collect()
