"""All spans of traffic that have closed by now: those of the windows, and from the log itself those that no update wrote yet.

A span is looked at as soon as it ends, which may be before the update that writes it. Taken from the windows alone, the rows of
that span would be missing, and what is missing is silence.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.tables import PREDICTIONS, WINDOWS
from trainserve_assets.windows.progress import logged_days, newest_event, read_progress
from trainserve_assets.windows.spans import span_start, span_windows, spans_since
from trainserve_assets.windows.table import newest_spans

_OVER = timedelta(days=7)


class Closed(NamedTuple):
    """Spans that had rows, as figures of windows, and until which event time all of them have closed."""

    figures: pl.DataFrame
    until: datetime


def closed_spans(lake: str, use_case: str, now: datetime) -> Closed:
    """The spans that have closed by now."""
    written, predictions = newest_spans(Table(lake, use_case, WINDOWS)), Table(lake, use_case, PREDICTIONS)
    logged = logged_days(predictions)
    if not logged:
        return Closed(written, now)
    event, arrived = newest_event(predictions, max(logged))
    until = span_start(event_clock(event, arrived, now))
    since = read_progress(DocumentStore(lake), use_case).spans_until_utc or span_start(event)
    if since >= until:
        return Closed(written, until)
    rows = spans_since(predictions.scan_partitions("event_date", ">=", since.date()), since)
    return Closed(pl.concat([written.filter(pl.col("span_start_utc") < since), span_windows(rows, until)]), until)


def event_clock(event: datetime, arrived: datetime, now: datetime) -> datetime:
    """Which event time it is: since the newest event arrived its clock has gone on as ours has.

    A log to which nothing came for a week is over: there it stands still.
    """
    quiet = now - arrived
    return event + quiet if timedelta() < quiet <= _OVER else event
