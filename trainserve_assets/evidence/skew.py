"""Skew: the same examples as serving logged them and as the dataset has them from its source, field by field.

Only the source's own rows say anything: an example that came back as feedback is the logged row itself.
"""

from datetime import date

import polars as pl

from lake.delta import Table
from lake.evaluation import Skew
from trainserve_assets.examples import day_of, example_key
from trainserve_assets.logged import answered
from trainserve_assets.use_case import UseCase

# No field has such a name.
_ARRIVED = "when it arrived"
_LOGGED = " (logged)"
_COMPARED = " compared"


def skew(use_case: UseCase, dataset: pl.LazyFrame, predictions: Table) -> tuple[Skew, ...]:
    """One comparison for each field outside the key, over the examples that both have; none while they share none.

    Of several answers about one example the one counts that was asked last. Values are equal when they are the same,
    nulls included. A field whose values the log does not keep is not compared.
    """
    schema = use_case.input_schema.kept(use_case.used)
    key = example_key(schema)
    fields = [name for name in schema.names if name not in {*key, *use_case.lacking}]
    if not fields or not predictions.exists() or not set(key).isdisjoint(use_case.lacking):
        return ()
    until = date.fromisoformat(use_case.history_until)
    logged = predictions.scan().filter(pl.col("event_date") < until)
    return _compared(key, fields, dataset.filter(day_of(schema) < until), logged)


def live_skew(use_case: UseCase, source: pl.LazyFrame, logged: pl.LazyFrame) -> tuple[Skew, ...]:
    """The same of logged predictions and of what the source itself makes of the same examples by now; none while it has none.

    A sensitive field stands otherwise in the log than in the source, and is not compared.
    """
    schema = use_case.input_schema
    key = example_key(schema)
    sensitive = {field.name for field in schema.fields if field.sensitive}
    fields = [name for name in schema.names if name not in {*key, *sensitive}]
    return _compared(key, fields, source.select(*key, *fields), logged) if fields and sensitive.isdisjoint(key) else ()


def _compared(key: list[str], fields: list[str], built: pl.LazyFrame, predictions: pl.LazyFrame) -> tuple[Skew, ...]:
    logged = (
        predictions.filter(answered(), pl.col("purpose") == "answer")
        .select(pl.col("received_at_utc").alias(_ARRIVED), "request_id", "row", "features")
        .unnest("features")
        .sort(_ARRIVED, "request_id", "row")
        .unique(key, keep="last")
    )
    both = built.join(logged, on=key, how="inner", nulls_equal=True, suffix=_LOGGED)
    differs = [pl.col(name).ne_missing(pl.col(f"{name}{_LOGGED}")).sum().alias(name) for name in fields]
    found = both.select(pl.len().alias(_COMPARED), *differs).collect().row(0, named=True)
    compared = int(found[_COMPARED])
    return tuple(Skew(field=name, compared=compared, different=int(found[name])) for name in fields) if compared else ()
