"""A package's holdout as windows: what its answers were worth on the days that it was judged on, before it was released.

They are as good evidence as days of the log, and the first month of a sequential test that would else begin with nothing.
"""

from collections.abc import Sequence

import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import NotFound, VerificationError
from lake.input_schema import InputSchema
from lake.package import open_package
from lake.tables import DATASET, SPLITS, TIME
from trainserve_assets.evidence.holdout import score
from trainserve_assets.examples import example_key
from trainserve_assets.logged import Usual, with_losses
from trainserve_assets.windows.metrics import judged_figures, windows_of
from trainserve_assets.windows.slices import holdout_prefix, slice_windows

# Where an arm's name stands in windows of the log; the slice is the package, and a slice of its holdout stands behind it.
HOLDOUT = "holdout"
_SPLIT = SPLITS[1]


def holdout_windows(
    store: DocumentStore, schema: InputSchema, package_digest: str, usual: Usual, slices: Sequence[str] = ()
) -> pl.DataFrame | None:
    """The figures of each day of its holdout, whole and by these fields, as known when that day ended.

    None where the lake cannot score it.
    """
    try:
        package = open_package(store, schema.use_case, package_digest)
        engine = package.load().engine
    except (NotFound, VerificationError):
        return None
    dataset = Table(store.root, schema.use_case, DATASET).scan(package.manifest.dataset_version)
    holdout = dataset.filter(split=_SPLIT).sort(example_key(schema), nulls_last=True).collect()
    if holdout.is_empty():
        return None
    scores = score(engine, package.manifest.features, holdout)
    time = pl.col(str(schema.event_time)).cast(TIME)
    answered = holdout.select(
        "label",
        arm=pl.lit(HOLDOUT),
        outcome=pl.lit("answered"),
        answer=pl.Series(scores.tolist(), dtype=pl.List(pl.Float64)),
        scores=pl.lit(None, pl.List(pl.Float64)),
        package_digest=pl.lit(package_digest),
        event_time_utc=time,
        received_at_utc=time,
        labelled_at_utc=time.dt.truncate("1d").dt.offset_by("1d"),
        features=pl.struct(pl.col(name) for name in holdout.columns),
    )
    rows = with_losses(answered.lazy(), schema, {package_digest: usual}).collect()
    whole = windows_of(rows, "event_time_utc", "1d", judged_figures(schema)).with_columns(slice=pl.lit(package_digest))
    named = pl.concat_str(pl.lit(holdout_prefix(package_digest)), "slice")
    return pl.concat([whole, slice_windows(rows, schema, slices).with_columns(slice=named)])
