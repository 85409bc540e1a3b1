"""Logged answers computed again, each with the package that its row names."""

import numpy as np
import polars as pl

from checks.rescored import Rescored
from lake.documents import DocumentStore
from lake.errors import NotFound, VerificationError
from lake.input_schema import InputSchema
from lake.package import Package, open_package
from trainserve_assets.evidence.holdout import score, spread_positions
from trainserve_assets.logged import answered, stretch

# Of each package on each arm, from the newest rows.
_NEWEST_ROWS, _ROWS = 5_000, 200


def rescored(store: DocumentStore, schema: InputSchema, predictions: pl.LazyFrame) -> list[Rescored]:
    """Each package of the newest rows; one that the lake does not hold, or whose features the log does not keep, is left out.

    Of one whose bytes in the lake are not those of its digest no answer can be the package's.
    """
    columns = ["arm", "package_digest", "scores", "features"]
    has_scores = answered() & pl.col("scores").is_not_null()
    logged = stretch(predictions, has_scores, _NEWEST_ROWS).filter(has_scores, pl.col("features").is_not_null())
    found = []
    newest = logged.select(columns).collect()
    for (arm, digest), rows in newest.group_by("arm", "package_digest", maintain_order=True):
        sample = rows[spread_positions(rows.height, _ROWS)]
        try:
            package = _find_package(store, schema, str(digest))
        except VerificationError:
            found.append(_all_different(str(arm), str(digest), sample.height))
            continue
        if package is not None:
            found.append(_again(str(arm), package, sample))
    return sorted(found, key=lambda one: (one.arm, one.package_digest))


def _find_package(store: DocumentStore, schema: InputSchema, digest: str) -> Package | None:
    try:
        package = open_package(store, schema.use_case, digest)
    except NotFound:
        return None
    kept = not any(schema.field(name).sensitive for name in package.manifest.features)
    return package if kept else None


def _all_different(arm: str, digest: str, rows: int) -> Rescored:
    return Rescored(arm=arm, package_digest=digest, rows=rows, different=rows, furthest=float("inf"))


def _again(arm: str, package: Package, rows: pl.DataFrame) -> Rescored:
    expected = score(package.load().engine, package.manifest.features, rows.select("features").unnest("features"))
    logged = np.array(rows["scores"].to_list(), dtype=np.float64)
    if logged.shape != expected.shape:
        return _all_different(arm, package.digest, rows.height)
    apart = np.abs(logged - expected).max(axis=1)
    return Rescored(
        arm=arm,
        package_digest=package.digest,
        rows=rows.height,
        different=int((apart > 0).sum()),
        furthest=float(apart.max(initial=0.0)),
    )
