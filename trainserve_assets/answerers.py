"""Which packages answered, as the log says."""

from datetime import timedelta

import polars as pl

from checks.liveness import Answerer


def answerers(predictions: pl.LazyFrame, days_back: int) -> list[Answerer]:
    """Each package that computed an answer on the newest days of event time, by arm and release."""
    newest = predictions.select(pl.col("event_date").max()).collect().item()
    if newest is None:
        return []
    computed = predictions.filter(pl.col("event_date") > newest - timedelta(days=days_back), outcome="answered")
    found = computed.group_by("arm", "package_digest", "release_seq").agg(
        first_utc=pl.col("received_at_utc").min(), last_utc=pl.col("received_at_utc").max(), rows=pl.len()
    )
    unknown = [pl.col("arm").fill_null("none"), pl.col("package_digest").fill_null("none"), pl.col("release_seq").fill_null(0)]
    return [Answerer(**row) for row in found.with_columns(unknown).sort("arm", "first_utc").collect().iter_rows(named=True)]
