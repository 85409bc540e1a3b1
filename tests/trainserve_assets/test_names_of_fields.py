"""A field may have any name that its schema takes, also those that columns beside it have: from training to monitoring."""

from datetime import timedelta

import dagster as dg
import msgspec
import polars as pl

from checks.release_standard import Gate
from lake.delta import Table
from lake.home import Home
from lake.input_schema import InputSchema
from lake.package import open_package
from lake.tables import DATASET, FEEDBACK, LABELS, PREDICTIONS
from tests.parcel_log import answers, labels_of
from tests.parcel_training import HISTORY_FROM, Platform, failures, parcel_history, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.evidence.holdout import score
from trainserve_assets.reproduction import read_rows
from trainserve_assets.training import read_note
from trainserve_assets.use_case import UseCase

# Of the parcels' fields: columns of the log, of tables made from it, and of frames on the way.
NAMES = {
    "parcel_id": "arm",
    "sent_at": "received_at_utc",
    "depot": "outcome",
    "carrier": "count",
    "weight_kg": "scores",
    "distance_km": "value",
    "stops": "manifest_split",
    "express": "day",
}
WEEK_FROM = HISTORY_FROM + timedelta(days=63)


def renamed_history() -> pl.LazyFrame:
    """The parcels, by these names."""
    return parcel_history().rename(NAMES)


def renamed_schema() -> InputSchema:
    fields = tuple(msgspec.structs.replace(field, name=NAMES[field.name]) for field in parcel_schema().fields)
    return parcel_schema(fields=fields, event_time=NAMES["sent_at"], entity_key=(NAMES["parcel_id"],))


def renamed_use_case() -> UseCase:
    used = tuple(NAMES[name] for name in parcel_use_case().features)
    gate = Gate(name="better_than_the_base_rate", metric="log_loss", against="base rate", must_be="at most", limit=0)
    return parcel_use_case(
        source=f"{__name__}:renamed_history",
        input_schema=renamed_schema(),
        features=used,
        slices=(NAMES["depot"],),
        release_standard=(gate,),
    )


def test_a_use_case_may_name_its_fields_as_columns_are_named(home: Home, instance: dg.DagsterInstance) -> None:
    platform = Platform(home, instance, renamed_use_case()).train()
    assert platform.release().success
    digest = read_note(platform.lake.store, USE_CASE, "trees").package_digest
    package = open_package(platform.lake.store, USE_CASE, digest)
    sent = parcel_history().filter(pl.col("label").is_not_null(), pl.col("sent_at").dt.date() >= WEEK_FROM).collect()
    scores = score(package.load().engine, package.manifest.features, sent.rename(NAMES))
    given = pl.lit(pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)))
    logged = answers(sent.with_columns(probability=pl.lit(0.0)), package_digest=pl.lit(digest), scores=given)
    features = pl.col("features").struct.rename_fields([NAMES[name] for name in parcel_schema().names])
    Table(home.lake, USE_CASE, PREDICTIONS).append_once(logged.with_columns(features), "spool", ["event_date"])
    Table(home.lake, USE_CASE, LABELS).append_once(labels_of(sent), "spool")

    result = platform.run([FEEDBACK, "windows", DATASET])

    assert result.success, failures(result)
    verdicts = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert verdicts["scores_are_the_packages"].passed, verdicts["scores_are_the_packages"].description
    assert verdicts["inputs_are_served_as_built"].passed, verdicts["inputs_are_served_as_built"].description
    assert Table(home.lake, USE_CASE, FEEDBACK).scan().collect().height == sent.height
    again = read_rows(Table(home.lake, USE_CASE, DATASET), package.manifest)
    assert again.misplaced == 0
    assert isinstance(again.known[NAMES["stops"]].dtype, pl.Int64)
