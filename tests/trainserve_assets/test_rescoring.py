"""Logged answers computed again with the package that their rows name."""

from datetime import date
from pathlib import Path

import polars as pl

from lake.evaluation import read_evaluation
from lake.package import Package, open_package
from tests.parcel_log import answers, append_log, parcels_sent
from tests.parcel_training import Platform
from tests.scenario import USE_CASE, parcel_schema, private_schema
from trainserve_assets.claims.rescoring import rescored
from trainserve_assets.evidence.holdout import score
from trainserve_assets.logged import read_predictions

SENT = parcels_sent(date(2013, 7, 1), 1, per_day=300)


def package_of(platform: Platform, candidate: str) -> Package:
    digest = read_evaluation(platform.home.lake, USE_CASE, platform.evaluation_id(candidate)).package_digest
    return open_package(platform.lake.store, USE_CASE, digest)


def scores_of(package: Package) -> pl.Expr:
    scores = score(package.load().engine, package.manifest.features, SENT)
    return pl.lit(pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)))


def log(platform: Platform, package: Package, scores: pl.Expr, **columns: pl.Expr) -> pl.LazyFrame:
    append_log(platform.home.lake, answers(SENT, package_digest=pl.lit(package.digest), scores=scores, **columns))
    return read_predictions(platform.home.lake, USE_CASE)


def test_what_a_package_answered_is_what_it_gives_again_to_the_bit(platform: Platform) -> None:
    package = package_of(platform, "trees")
    logged = log(platform, package, scores_of(package))

    [found] = rescored(platform.lake.store, parcel_schema(), logged)

    assert (found.arm, found.package_digest, found.rows, found.different) == ("champion", package.digest, 200, 0)


def test_another_model_under_its_digest_is_found(platform: Platform) -> None:
    package = package_of(platform, "trees")
    logged = log(platform, package, scores_of(package_of(platform, "boosting")))

    [found] = rescored(platform.lake.store, parcel_schema(), logged)

    assert found.different > 100
    assert 0 < found.furthest < 1


def test_a_package_whose_bytes_are_others_in_the_lake_gave_none_of_its_answers(platform: Platform) -> None:
    package = package_of(platform, "trees")
    logged = log(platform, package, scores_of(package))
    folder = Path(platform.home.lake) / USE_CASE / "packages" / package.digest
    changed = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    changed.write_bytes(changed.read_bytes()[:-1])

    [found] = rescored(platform.lake.store, parcel_schema(), logged)

    assert (found.package_digest, found.rows, found.different) == (package.digest, 200, 200)


def test_one_answer_that_was_changed_is_found_by_its_last_bit(platform: Platform) -> None:
    package = package_of(platform, "trees")
    own = scores_of(package)
    nudged = pl.when(pl.int_range(pl.len()) == 0).then(own.list.eval(pl.element() * (1 + 2**-52))).otherwise(own)
    logged = log(platform, package, nudged)

    [found] = rescored(platform.lake.store, parcel_schema(), logged)

    assert found.different == 1


def test_what_cannot_be_computed_again_is_left_out(platform: Platform) -> None:
    package = package_of(platform, "trees")
    unknown = log(platform, package, scores_of(package)).with_columns(package_digest=pl.lit("f" * 64))

    assert rescored(platform.lake.store, parcel_schema(), unknown) == []
    assert rescored(platform.lake.store, private_schema(), read_predictions(platform.home.lake, USE_CASE)) == [], "sensitive"
    assert rescored(platform.lake.store, parcel_schema(), unknown.with_columns(outcome=pl.lit("failed"))) == []
