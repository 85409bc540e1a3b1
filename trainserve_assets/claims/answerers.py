"""Which packages answered, as the log says."""

import polars as pl

from checks.liveness import Answerer


def answerers(predictions: pl.LazyFrame) -> list[Answerer]:
    """Each package that computed an answer, by arm and release."""
    found = (
        predictions.filter(outcome="answered")
        .group_by("arm", "package_digest", "release_seq")
        .agg(first_utc=pl.col("received_at_utc").min(), last_utc=pl.col("received_at_utc").max(), rows=pl.len())
    )
    unknown = [pl.col("arm").fill_null("none"), pl.col("package_digest").fill_null("none"), pl.col("release_seq").fill_null(0)]
    return [Answerer(**row) for row in found.with_columns(unknown).sort("arm", "first_utc").collect().iter_rows(named=True)]
