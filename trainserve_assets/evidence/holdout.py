"""The holdout: the rows that candidates are judged on, the rows before them, and a package's scores."""

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from lake.delta import Table
from lake.engines import Engine
from lake.input_schema import InputSchema
from trainserve_assets.examples import day_of, held_version, read_examples, rows_of
from trainserve_assets.metrics import Numbers, Sample
from trainserve_assets.training import numbers
from trainserve_assets.use_case import UseCase

Positions = npt.NDArray[np.intp]

_CHUNK = 10_000


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that candidates are judged on, in one order, and the version of the dataset they are from.

    `known` are the rows of training, `known_labels` their labels. `base` is what one would answer knowing nothing but
    those labels, of shape (1 or classes,).
    """

    frame: pl.DataFrame
    labels: Numbers
    days: pl.Series
    known: pl.DataFrame
    known_labels: Numbers
    dataset_version: int
    dataset_digest: str
    base: Numbers

    def sample(self, scores: Numbers, rows: Positions | None = None) -> Sample:
        """These rows, or those at some positions, with a model's scores, shape (rows, 1 or classes)."""
        at = np.arange(self.labels.size) if rows is None else rows
        return Sample(labels=self.labels[at], scores=scores, days=self.days.to_numpy()[at])

    def base_sample(self) -> Sample:
        """These rows with the base rate for each."""
        return self.sample(np.tile(self.base, (self.frame.height, 1)))

    def spread(self, most: int) -> pl.DataFrame:
        """At most so many of these rows, spread evenly."""
        return rows_at(self.frame, spread_positions(self.frame.height, most))


def read_holdout(dataset: Table, use_case: UseCase) -> Holdout:
    """The holdout of the newest dataset. Raises NotFound, and VerificationError when the dataset does not hold."""
    version = held_version(dataset, use_case)
    frame = read_examples(dataset, use_case, version, "holdout")
    known = read_examples(dataset, use_case, version, "train")
    schema = use_case.input_schema
    known_labels = numbers(known["label"], schema)
    return Holdout(
        frame=frame,
        labels=numbers(frame["label"], schema),
        days=frame.select(day_of(schema)).to_series(),
        known=known,
        known_labels=known_labels,
        dataset_version=version,
        dataset_digest=str(dataset.digest()),
        base=_base(known_labels, schema),
    )


def score(engine: Engine, features: tuple[str, ...], frame: pl.DataFrame) -> Numbers:
    """The engine on these rows, shape (rows, 1 or classes): what a predictor would answer."""
    chunks = (rows_of(part, features) for part in frame.iter_slices(_CHUNK))
    return np.concatenate([np.asarray(engine.scores(chunk), dtype=np.float64) for chunk in chunks])


def rows_at(frame: pl.DataFrame, positions: Positions) -> pl.DataFrame:
    """The rows at these positions."""
    return frame.select(pl.all().gather(positions))


def spread_positions(rows: int, most: int) -> Positions:
    """Positions of at most so many rows, spread evenly over all of them."""
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))


def _base(labels: Numbers, schema: InputSchema) -> Numbers:
    if schema.task == "multiclass":
        return np.bincount(labels.astype(np.intp), minlength=len(schema.classes)) / labels.size
    return np.array([labels.mean()])
