"""Under which day a prediction's row is filed, and under which moment it is looked at."""

import polars as pl

from lake.input_schema import InputSchema


def filing_date(schema: InputSchema) -> pl.Expr:
    """`event_date`, the partition of a prediction's row: the day of its event time, or of its arrival.

    Arrival counts where the event time is further from it than the input schema allows; `event_time_utc` stays as it was
    told. So nobody who sends a row can make a partition far off, nor blind what looks back from the newest day.
    """
    event, arrival = pl.col("event_time_utc"), pl.col("received_at_utc")
    earliest = arrival - pl.duration(days=schema.event_days_before)
    latest = arrival + pl.duration(days=schema.event_days_after)
    return pl.when(event.is_between(earliest, latest)).then(event).otherwise(arrival).dt.date()


def filing_time() -> pl.Expr:
    """The moment under which a logged prediction is looked at: its event time, or its arrival where that was its partition."""
    event, arrival = pl.col("event_time_utc"), pl.col("received_at_utc")
    return pl.when(event.dt.date() == pl.col("event_date")).then(event).otherwise(arrival)
