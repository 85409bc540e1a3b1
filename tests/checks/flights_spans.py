"""The flights of 2013 by five minutes of their scheduled departure: how they would be asked about, if each were once."""

from datetime import datetime, timezone
from functools import cache

import polars as pl

from checks.traffic import SPANS
from trainserve_assets.defs.flight_delay.source import flights

TIME_ZONE = "America/New_York"
FIRST, DAYS = datetime(2013, 7, 1, 4, tzinfo=timezone.utc), 183


@cache
def spans() -> pl.DataFrame:
    """The spans of the year that had any, by UTC."""
    start = pl.col("scheduled_departure_utc").dt.truncate("5m").cast(SPANS["start"])
    return flights().group_by(start.alias("start")).agg(rows=pl.len().cast(pl.Int64)).sort("start").collect()
