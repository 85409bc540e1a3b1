"""What a package's inputs and answers are compared with: the training split that it was trained on.

The package's manifest names the dataset version, so the reference of a window never moves when the dataset does.
"""

from collections.abc import Collection, Iterable
from functools import cache

import msgspec
import numpy as np
import polars as pl

from checks.drift import Counts, index_limit, rows_of_null, stability_index
from lake.delta import Table
from lake.documents import DocumentStore
from lake.input_schema import Field, InputSchema
from lake.package import MANIFEST, Manifest
from lake.tables import DATASET, SPLITS
from trainserve_assets.logged import Usual

_NUMBER_BINS = 10
_MOST_CATEGORIES = 20


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """How one feature is cut: a number at `edges`, or else into `categories` and all others. The last bin is null's."""

    edges: tuple[float, ...] | None = None
    categories: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """How many bins there are."""
        return len(self.categories if self.edges is None else self.edges) + 2

    def bin_of(self, column: pl.Expr) -> pl.Expr:
        """The bin of each value, from 0."""
        if self.edges is None:
            codes = column.replace_strict(
                list(self.categories), range(len(self.categories)), default=len(self.categories), return_dtype=pl.Int32
            )
        else:
            codes = (
                pl.lit(pl.Series(self.edges, dtype=pl.Float64)).search_sorted(column.cast(pl.Float64), side="left").cast(pl.Int32)
            )
        return pl.when(column.is_null()).then(pl.lit(self.number - 1, pl.Int32)).otherwise(codes)

    def counted(self, column: pl.Expr) -> pl.Expr:
        """How often values of a group are in each bin, to be read by `counts`; no value is put into a bin by itself.

        Of a number how many are known, how many of them are above each edge, how many are null; of a category its values.
        """
        if self.edges is None:
            return column.alias("value").value_counts(name="rows").implode()
        number = column.cast(pl.Float64)
        above = [(number > pl.lit(edge, pl.Float64)).sum() for edge in self.edges]
        found = [number.count(), *above, number.null_count()]
        return pl.struct(expression.cast(pl.Int64).alias(str(position)) for position, expression in enumerate(found))

    def counts(self, counted: pl.Series) -> Counts:
        """The same for all bins, of shape (groups, bins)."""
        if self.edges is not None:
            above = counted.struct.unnest().to_numpy()
            return np.hstack([-np.diff(above[:, :-1], append=0), above[:, -1:]])
        counts = np.zeros((len(counted), self.number), dtype=np.int64)
        groups = np.repeat(np.arange(len(counted)), counted.list.len().to_numpy())
        values, rows = counted.explode(empty_as_null=False).struct.unnest().get_columns()
        places = values.replace_strict(
            [*self.categories, None], [*range(len(self.categories)), self.number - 1], default=len(self.categories)
        )
        np.add.at(counts, (groups, places.to_numpy()), rows.to_numpy())
        return counts


class FeatureReference(msgspec.Struct, frozen=True, kw_only=True):
    """One feature in training: its bins, and its counts of shape (days, bins)."""

    bins: Bins
    training_days: Counts


class Reference:
    """The training split of one dataset version: what is usual, and how features are distributed."""

    def __init__(self, training: pl.DataFrame, schema: InputSchema, features: Iterable[str]) -> None:
        self.usual = _usual(training["label"], schema)
        day = pl.col(schema.event_time).dt.date() if schema.event_time else pl.lit(0)
        dated = training.with_columns(_day=day)
        self.label_means = _label_means(dated, schema)
        self.features = {
            name: _feature_reference(dated, schema.field(name))
            for name in sorted(features)
            if name in training.columns and not schema.field(name).sensitive  # its values are not in the log
        }
        self.categories = {
            name: training[name].drop_nulls().unique().sort().to_list()
            for name in self.features
            if schema.field(name).type == "category"
        }
        self.daily = _daily_figures(dated, self.features, self.categories)
        self._limit = cache(self._compute_limit)

    def index(self, feature: str, counts: Counts) -> float:
        """The stability index of these counts, of shape (bins,), against all of training."""
        return float(stability_index(self.features[feature].training_days.sum(axis=0), counts))

    def limit(self, feature: str, n: int, false_alarm_rate: float) -> float:
        """The index that `n` rows of a day of training exceed with this probability, shared among the features."""
        return self._limit(feature, rows_of_null(n), false_alarm_rate / len(self.features))

    def _compute_limit(self, feature: str, n: int, false_alarm_rate: float) -> float:
        return index_limit(self.features[feature].training_days, n, false_alarm_rate)


class References:
    """The references of packages, each read once."""

    def __init__(self, store: DocumentStore, schema: InputSchema) -> None:
        self._store = store
        self._schema = schema
        self._by_training: dict[tuple[int, tuple[str, ...]], Reference | None] = {}

    def of(self, package_digest: str) -> Reference | None:
        """What the package of this digest was trained on; None when the lake holds no such package or no such data."""
        encoded = self._store.find(f"{self._schema.use_case}/packages/{package_digest}/{MANIFEST}")
        if encoded is None:
            return None
        manifest = msgspec.json.decode(encoded, type=Manifest)
        known = (manifest.dataset_version, manifest.features)
        if known not in self._by_training:
            training = self._training(manifest.dataset_version)
            self._by_training[known] = None if training.is_empty() else Reference(training, self._schema, manifest.features)
        return self._by_training[known]

    def _training(self, version: int) -> pl.DataFrame:
        table = Table(self._store.root, self._schema.use_case, DATASET)
        return table.scan(version).filter(split=SPLITS[0]).collect() if table.exists() else pl.DataFrame()


def _daily_figures(dated: pl.DataFrame, features: Iterable[str], categories: Collection[str]) -> dict[str, list[float]]:
    """The share of nulls on each day of training, and the mean of a number, by the feature and what it is."""
    nulls = {f"{name}, nulls": pl.col(name).is_null().mean() for name in features}
    means = {f"{name}, mean": pl.col(name).cast(pl.Float64).mean() for name in features if name not in categories}
    daily = dated.group_by("_day").agg(**nulls, **means).sort("_day")
    return {name: daily[name].drop_nulls().to_list() for name in (*nulls, *means)}


def _usual(labels: pl.Series, schema: InputSchema) -> Usual:
    if schema.task == "multiclass":
        return tuple(float(np.mean((labels == name).to_numpy())) for name in schema.classes)
    return (float(np.mean(labels.to_numpy())),)


def _label_means(dated: pl.DataFrame, schema: InputSchema) -> list[float]:
    """The mean label of each day of training, in order; of classes there is none."""
    if schema.task == "multiclass":
        return []
    return dated.group_by("_day").agg(pl.col("label").mean()).sort("_day")["label"].to_list()


def _feature_reference(training: pl.DataFrame, field: Field) -> FeatureReference:
    bins = _bins(training[field.name], field)
    counted = training.group_by("_day").agg(bins.counted(pl.col(field.name)).alias("counted")).sort("_day")
    return FeatureReference(bins=bins, training_days=bins.counts(counted["counted"]))


def _bins(values: pl.Series, field: Field) -> Bins:
    """A category's most frequent values; for a number tenths of training, and what is below or above all of it."""
    known = values.drop_nulls()
    if field.type == "category":
        frequent = known.alias("value").value_counts().sort("count", "value", descending=[True, False])
        return Bins(categories=tuple(frequent["value"].head(_MOST_CATEGORIES)))
    if known.is_empty():
        return Bins(edges=())
    numbers = known.cast(pl.Float64).to_numpy()
    tenths = np.quantile(numbers, np.linspace(0, 1, _NUMBER_BINS + 1), method="lower")
    tenths[0] = np.nextafter(tenths[0], -np.inf)
    return Bins(edges=tuple(np.unique(tenths).tolist()))
