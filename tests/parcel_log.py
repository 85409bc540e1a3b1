"""Months of parcels: a history to train on, and what a served model left in the log, as frames and as tables.

Lateness follows from weight and from a shock that all parcels of a day share, as weather would be.
"""

from datetime import date, timedelta

import numpy as np
import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore, canonical
from lake.filing import filing_date
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.package import MANIFEST, Manifest
from lake.parameters import Arm, Parameters, publish_parameters
from lake.release.ledger import Ledger
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from lake.tables import DATASET, LABELS, PREDICTIONS, TIME, conform, dataset_schema, labels_schema, predictions_schema
from tests.scenario import USE_CASE, decision, parcel_schema

CHAMPION, CHALLENGER = "a" * 64, "b" * 64
LOG_FROM = date(2013, 7, 1)
DAYS, PER_DAY = 14, 720
FEATURES = ("depot", "carrier", "weight_kg", "distance_km", "stops", "express")


def parcels_sent(first: date, days: int, per_day: int = 200, seed: int = 1, day_shock: float = 0.3) -> pl.DataFrame:
    """All fields of the input schema, `probability` (as a perfect model knows it) and `label`; as many each hour of a day."""
    generator = np.random.default_rng(seed)
    rows = days * per_day
    day = np.repeat(np.arange(days), per_day)
    microseconds = day * 86_400_000_000 + np.tile((np.arange(per_day) + 0.5) * 86_400_000_000 / per_day, days)
    sent_at = np.datetime64(first, "us") + microseconds.astype("timedelta64[us]")
    weight = generator.gamma(2.0, 5.0, rows)
    probability = 1 / (1 + np.exp(1.5 - 0.12 * weight))
    shocked = 1 / (1 + np.exp(1.5 - 0.12 * weight - generator.normal(0, day_shock, days)[day]))
    return pl.DataFrame(
        {
            "parcel_id": [f"{first}-{number}" for number in range(rows)],
            "sent_at": pl.Series(sent_at).dt.replace_time_zone("UTC").cast(TIME),
            "depot": generator.choice(["north", "south", "harbour"], rows, p=[0.5, 0.3, 0.2]),
            "carrier": generator.choice(["bike", "van"], rows),
            "weight_kg": weight,
            "distance_km": generator.normal(40, 10, rows),
            "stops": generator.integers(0, 12, rows),
            "express": generator.random(rows) < 0.3,
            "probability": probability,
            "label": (generator.random(rows) < shocked).astype(float),
        },
    ).with_columns(_null_sometimes("carrier", 17), _null_sometimes("distance_km", 11))


def fortnight() -> pl.DataFrame:
    """Parcels of two weeks of the log, whose days differ little."""
    return parcels_sent(LOG_FROM, DAYS, PER_DAY, day_shock=0.05)


def _null_sometimes(name: str, every: int) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) % every == 0).then(None).otherwise(name).alias(name)


def answers(parcels: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Rows of `predictions`: each parcel was answered by the champion, with its true probability, a second after it was sent.

    `columns` replace any of them, and may read those of the parcels.
    """
    schema = parcel_schema()
    number = pl.int_range(pl.len())
    rows = parcels.with_columns(
        request_id=pl.format("00000000-0000-7000-8000-{}", pl.col("parcel_id")),
        row=pl.lit(0, pl.Int64),
        arm=pl.lit("champion"),
        event_time_utc="sent_at",
        received_at_utc=pl.col("sent_at") + pl.duration(seconds=1),
        purpose=pl.lit("answer"),
        role=pl.lit("champion"),
        release_seq=pl.lit(1, pl.Int64),
        package_digest=pl.lit(CHAMPION),
        parameters_version=pl.lit(1, pl.Int64),
        entity_key_hash=pl.col("parcel_id"),
        routing_key_hash=pl.col("parcel_id"),
        features=pl.struct(schema.names),
        scores=pl.concat_list("probability"),
        answer=columns.get("scores", pl.concat_list("probability")),
        outcome=pl.lit("answered"),
        status=pl.lit(200, pl.Int64),
        attempts=pl.lit(1, pl.Int64),
        latency_us=1_000 + number % 100,
        spool_id=pl.lit("spool"),
        seq=number + 1,
    ).with_columns(**columns)
    target = predictions_schema(schema)
    full = rows.with_columns(event_date=filing_date(schema))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in target.items() if name not in full.columns]
    return conform(
        full.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in target.items()), target, PREDICTIONS
    )


def labels_of(parcels: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """Rows of `labels`: the truth about each parcel, received six hours after it was sent."""
    target = labels_schema(parcel_schema())
    rows = parcels.with_columns(
        request_id=pl.format("00000000-0000-7000-8000-{}", pl.col("parcel_id")),
        row=pl.lit(0, pl.Int64),
        observed_at_utc=pl.col("sent_at") + pl.duration(hours=5),
        received_at_utc=pl.col("sent_at") + pl.duration(hours=6),
        spool_id=pl.lit("spool"),
        seq=pl.int_range(pl.len()) + 1,
    ).with_columns(**columns)
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in target.items() if name not in rows.columns]
    return conform(rows.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in target.items()), target, LABELS)


def labels_by_entity(parcels: pl.DataFrame) -> pl.DataFrame:
    """The same truth, told of the parcel and the time it was sent, and of no request."""
    nothing, parcel, sent = pl.lit(None), pl.col("parcel_id"), pl.col("sent_at")
    return labels_of(parcels, request_id=nothing, row=nothing, entity_key_hash=parcel, event_time_utc=sent)


def write_history(lake: str, days: int = 120, per_day: int = 200) -> None:
    """The dataset up to the day on which the log begins, and the manifests of both packages that were trained on it."""
    schema = parcel_schema()
    parcels = parcels_sent(LOG_FROM - timedelta(days=days), days, per_day, seed=7)
    dataset = conform(parcels.drop("probability").with_columns(split=pl.lit("train")), dataset_schema(schema), DATASET)
    store = DocumentStore(lake)
    publish_input_schema(store, schema)
    version = Table(lake, USE_CASE, DATASET).replace(dataset, "history")
    for digest in (CHAMPION, CHALLENGER):
        store.put(f"{USE_CASE}/packages/{digest}/{MANIFEST}", canonical(manifest(version)))


def manifest(dataset_version: int) -> Manifest:
    """The manifest of a package trained on this version of the dataset."""
    return Manifest(
        use_case=USE_CASE,
        candidate="catboost",
        task="binary",
        engine="catboost",
        reference="catboost",
        features=FEATURES,
        categories={},
        seed=0,
        training_parameters={},
        source_revision="unknown",
        dataset_version=dataset_version,
        dataset_digest="history",
        split={},
        input_schema_version=1,
        library_versions={},
    )


def append_log(
    lake: str, predictions: pl.DataFrame | None = None, labels: pl.DataFrame | None = None, source: str = "spool"
) -> None:
    """Ship rows as the shipper would, from the slot that is named."""
    slot = pl.lit(source).alias("spool_id")
    if predictions is not None:
        Table(lake, USE_CASE, PREDICTIONS).append_once(predictions.with_columns(slot), source, ["event_date"])
    if labels is not None:
        Table(lake, USE_CASE, LABELS).append_once(labels.with_columns(slot), source)


def write_releases(home: Home) -> None:
    """The champion and the challenger, released before the log begins, and a plan that gives the challenger a fifth."""
    key = PlatformKey.read_or_make(home.keys)
    store = DocumentStore(home.lake)
    ledger = Ledger(store, USE_CASE, Trust.in_key(key))
    ledger.append(decision(package_digest=CHAMPION), "ada", "2013-06-30T00:00:00+00:00", key)
    challenger = decision(role="challenger", arm="challenger", package_digest=CHALLENGER)
    ledger.append(challenger, "ada", "2013-06-30T01:00:00+00:00", key)
    arms = {"champion": Arm(upstreams=("http://champion",)), "challenger": Arm(upstreams=("http://challenger",), share=0.2)}
    publish_parameters(store, Parameters(use_case=USE_CASE, arms=arms), 0)


def two_arms(parcels: pl.DataFrame, challenger_scores: pl.Expr, **columns: pl.Expr) -> pl.DataFrame:
    """Rows of `predictions` of which a fifth, by parcel, was answered by the challenger, with these scores."""

    def by_arm(challenger: pl.Expr, champion: pl.Expr) -> pl.Expr:
        return pl.when(pl.col("parcel_id").hash(seed=3) % 5 == 0).then(challenger).otherwise(champion)

    split = {
        "arm": by_arm(pl.lit("challenger"), pl.lit("champion")),
        "role": by_arm(pl.lit("challenger"), pl.lit("champion")),
        "package_digest": by_arm(pl.lit(CHALLENGER), pl.lit(CHAMPION)),
        "release_seq": by_arm(pl.lit(2), pl.lit(1)),
        "scores": by_arm(pl.concat_list(challenger_scores), pl.concat_list("probability")),
    }
    return answers(parcels, **{**split, **columns})
