"""The example that tests share: parcels that may arrive late. Named schemas, rows, frames and documents, as functions."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import polars as pl

from lake.decoder import Decoder
from lake.input_schema import Field, InputSchema
from lake.log.records import LabelRecord, PredictionRecord
from lake.package import Manifest
from lake.release.decision import Decision
from lake.release.policy import BUILT_IN

USE_CASE = "late_parcel"
EVALUATION_ID = "e" * 64


def parcel_schema(**changes: Any) -> InputSchema:
    """An input schema with a field of every type, required and nullable, open and closed categories."""
    schema = InputSchema(
        use_case=USE_CASE,
        task="binary",
        label="late",
        event_time="sent_at",
        entity_key=("parcel_id",),
        event_days_before=36_500,  # parcels of 2013 are sent today
        fields=(
            Field(name="parcel_id", type="category"),
            Field(name="sent_at", type="timestamp"),
            Field(name="depot", type="category", categories=("north", "south", "harbour"), unknown_category="refuse"),
            Field(name="carrier", type="category", categories=("bike", "van"), nullable=True),
            Field(name="weight_kg", type="number", unit="kg", minimum=0.0, maximum=1000.0),
            Field(name="distance_km", type="number", unit="km", nullable=True),
            Field(name="stops", type="integer", minimum=0, maximum=50, nullable=True),
            Field(name="express", type="boolean"),
        ),
    )
    return msgspec.structs.replace(schema, **changes)


def private_schema(**changes: Any) -> InputSchema:
    """The same, with fields that may not be kept in the clear: hashed are entity, depot and weight, the carrier is left out."""
    sensitive = {"parcel_id": True, "depot": "hash", "weight_kg": "hash", "carrier": "omit"}
    fields = tuple(msgspec.structs.replace(field, sensitive=sensitive.get(field.name, False)) for field in parcel_schema().fields)
    return parcel_schema(fields=fields, **changes)


def parcel(**changes: Any) -> dict[str, Any]:
    """One valid row, as a client would send it in JSON."""
    row = {
        "parcel_id": "P-1",
        "sent_at": "2013-07-01T09:30:00Z",
        "depot": "north",
        "carrier": "van",
        "weight_kg": 12.5,
        "distance_km": 40.25,
        "stops": 3,
        "express": False,
    }
    return {**row, **changes}


def without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The row without some of its fields."""
    return {name: value for name, value in row.items() if name not in names}


def records_body(*rows: object, **members: Any) -> bytes:
    """The rows as a body of the JSON interface."""
    return msgspec.json.encode({"records": rows, **members})


def tensors_body(*rows: Mapping[str, Any], **members: Any) -> bytes:
    """The rows as a body of the Open Inference Protocol; a field that a row lacks is null in its tensor."""
    datatypes = {"category": "BYTES", "timestamp": "BYTES", "boolean": "BOOL", "integer": "INT64", "number": "FP64"}
    inputs = [
        {
            "name": field.name,
            "shape": [len(rows)],
            "datatype": datatypes[field.type],
            "data": [row.get(field.name) for row in rows],
        }
        for field in parcel_schema().fields
        if any(field.name in row for row in rows)
    ]
    return msgspec.json.encode({"inputs": inputs, **members})


def prediction(number: int, **changes: Any) -> PredictionRecord:
    """The record of the `number`-th answered request, each with its own parcel, an hour after the last."""
    sent_at = datetime(2013, 7, 1, tzinfo=timezone.utc) + timedelta(hours=number)
    row = parcel(parcel_id=f"P-{number}", sent_at=sent_at.isoformat())
    [features] = Decoder(parcel_schema()).records(records_body(row)).records
    record = PredictionRecord(
        use_case=USE_CASE,
        request_id=f"00000000-0000-7000-8000-{number:012}",
        row=0,
        event_time_us=int(sent_at.timestamp()) * 1_000_000,
        received_at_us=1_700_000_000_000_000 + number,
        outcome="answered",
        status=200,
        parameters_version=0,
        latency_us=900,
        arm="champion",
        role="champion",
        package_digest="a" * 64,
        features=features,
        scores=[0.25],
        answer=[0.25],
    )
    return msgspec.structs.replace(record, **changes)


def label(number: int, **changes: Any) -> LabelRecord:
    """The label of the `number`-th request."""
    record = LabelRecord(
        use_case=USE_CASE,
        request_id=f"00000000-0000-7000-8000-{number:012}",
        row=0,
        entity_key_hash=None,
        event_time_us=None,
        label=float(number % 2),
        observed_at_us=1_700_000_100_000_000 + number,
        received_at_us=1_700_000_200_000_000 + number,
        client_id=None,
    )
    return msgspec.structs.replace(record, **changes)


def decision(**changes: Any) -> Decision:
    """An approval of package `a...` as champion; its nonce is made of what is decided, so that changes renew it."""
    facts: dict[str, Any] = {
        "use_case": USE_CASE,
        "decision": "approve",
        "role": "champion",
        "arm": "champion",
        "package_digest": "a" * 64,
        "evaluation_id": EVALUATION_ID,
        "release_standard_digest": "5" * 64,
        "policy_digest": BUILT_IN.digest,
        "approver": "ada",
        "reason": "better on every slice",
        **changes,
    }
    return Decision(**{"nonce": repr(sorted(facts.items())), **facts})


def manifest(**changes: Any) -> Manifest:
    """The manifest of a CatBoost model of parcels; the two categories come first."""
    facts: dict[str, Any] = {
        "use_case": USE_CASE,
        "candidate": "small_trees",
        "task": "binary",
        "engine": "catboost",
        "reference": "catboost",
        "features": ("depot", "carrier", "weight_kg", "express"),
        "categories": {"depot": ("harbour", "north", "south"), "carrier": ("bike", "van")},
        "seed": 7,
        "training_parameters": {"iterations": 5},
        "source_revision": "0" * 40,
        "dataset_version": 1,
        "dataset_digest": "d" * 64,
        "split": {"train": "1"},
        "input_schema_version": 1,
        "library_versions": {"catboost": "1"},
    }
    return Manifest(**{**facts, **changes})


def small_trees(seed: int = 7) -> Any:
    """A real CatBoost model of parcels, trained in an instant."""
    import catboost

    frame = parcels(200)
    rows = frame.select("depot", pl.col("carrier").fill_null(""), "weight_kg", pl.col("express").cast(pl.Float64)).rows()
    names = list(manifest().features)
    pool = catboost.Pool([list(row) for row in rows], frame["label"].to_list(), cat_features=[0, 1], feature_names=names)
    model = catboost.CatBoostClassifier(iterations=5, depth=3, random_seed=seed, thread_count=1, allow_writing_files=False)
    model.fit(pool, verbose=False)
    return model


def parcels(rows: int) -> pl.DataFrame:
    """Labelled parcels whose lateness follows from weight, carrier and depot, with some noise; always the same."""
    depots, carriers = ("north", "south", "harbour"), ("bike", "van", None)
    frame = pl.DataFrame({"number": range(rows)}).with_columns(noise=(pl.col("number") * 7919 % 97) / 97)
    return frame.select(
        depot=pl.col("number").map_elements(lambda n: depots[n % 3], return_dtype=pl.String),
        carrier=pl.col("number").map_elements(lambda n: carriers[n % 5 % 3], return_dtype=pl.String),
        weight_kg=(pl.col("number") * 37 % 200).cast(pl.Float64),
        express=pl.col("number") % 4 == 0,
        label=((pl.col("number") * 37 % 200) / 200 + pl.col("noise") > 1).cast(pl.Float64),
    )
