"""The evidence about candidates: their scores on the holdout, measured and compared, as evaluation documents."""

from typing import Literal

import msgspec
import numpy as np
import polars as pl

from checks.release_standard import standard_digest
from lake.delta import Table
from lake.documents import Document, decoded
from lake.errors import SettingError
from lake.evaluation import Difference, Estimate, Evaluation
from lake.input_schema import InputSchema
from lake.package import Package, open_package
from lake.releases import fold
from lake.tables import DATASET, EVALUATION
from trainserve_assets.examples import day_of, read_examples, rows_of
from trainserve_assets.metrics import Numbers, Sample, Spread, measure
from trainserve_assets.resources import LakeResource
from trainserve_assets.training import numbers, read_note, split_words
from trainserve_assets.use_case import Candidate, UseCase
from trainserve_assets.versions import unreleased_version

_CHUNK = 10_000


class Holdout(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that candidates are judged on, in one order, and the version of the dataset they are from.

    `base` is what one would answer knowing nothing but the training labels, of shape (1 or classes,).
    """

    frame: pl.DataFrame
    labels: Numbers
    days: pl.Series
    dataset_version: int
    dataset_digest: str
    base: Numbers

    def sample(self, scores: Numbers) -> Sample:
        """These rows with a model's scores, shape (rows, 1 or classes)."""
        return Sample(labels=self.labels, scores=scores, days=self.days.to_numpy())


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate is compared with, measured on the same holdout."""

    kind: Literal["base rate", "baseline", "champion"]
    name: str
    spreads: dict[str, Spread]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate with its document, and the scores that pictures are drawn of."""

    candidate: Candidate
    evaluation: Evaluation
    sample: Sample


class _Look(Document, frozen=True, kw_only=True):
    """Of an evaluation document: which package looked at which holdout."""

    package_digest: str
    split: dict[str, str]


def read_holdout(dataset: Table, use_case: UseCase) -> Holdout:
    """The holdout of the newest dataset. Raises NotFound, and SettingError when it has no row."""
    version = dataset.open().version()
    frame = read_examples(dataset, use_case, version, "holdout")
    if frame.is_empty():
        raise SettingError(f"split of {use_case.name!r}", "no row in holdout", "a holdout that the dataset reaches")
    known = dataset.scan(version).filter(split="train").select("label").collect().to_series()
    schema = use_case.input_schema
    return Holdout(
        frame=frame,
        labels=numbers(frame["label"], schema),
        days=frame.select(day_of(schema)).to_series(),
        dataset_version=version,
        dataset_digest=str(dataset.digest()),
        base=_base(numbers(known, schema), schema),
    )


def score(package: Package, frame: pl.DataFrame) -> Numbers:
    """The package's own engine on these rows, shape (rows, 1 or classes): what a predictor would answer."""
    engine = package.engine()
    chunks = (rows_of(part, package.manifest.features) for part in frame.iter_slices(_CHUNK))
    return np.concatenate([np.asarray(engine.scores(chunk), dtype=np.float64) for chunk in chunks])


def judge(lake: LakeResource, use_case: UseCase) -> list[Judged]:
    """An evaluation of each candidate on the newest holdout, against base rate, baseline and live champion.

    Equal packages, data and champion give equal documents. Raises NotFound when a candidate was not trained yet,
    SettingError when one was trained on another split.
    """
    holdout = read_holdout(lake.table(use_case.name, DATASET), use_case)
    notes = [read_note(lake.store, use_case.name, candidate.name) for candidate in use_case.candidates]
    packages = [open_package(lake.store, use_case.name, note.package_digest) for note in notes]
    for package in packages:
        if package.manifest.split != split_words(use_case.split):
            what = f"split of candidate {package.manifest.candidate!r}"
            raise SettingError(what, package.manifest.split, f"{split_words(use_case.split)}: materialize the candidate again")
    samples = [holdout.sample(score(package, holdout.frame)) for package in packages]
    others = _others(lake, use_case, holdout, samples)
    looks = _looks(lake.table(use_case.name, EVALUATION), use_case, packages)
    judged = []
    for candidate, note, package, sample in zip(use_case.candidates, notes, packages, samples, strict=True):
        spreads = measure(use_case.input_schema.task, sample)
        evaluation = Evaluation(
            use_case=use_case.name,
            candidate=candidate.name,
            task=package.manifest.task,
            package_digest=package.digest,
            model_version=unreleased_version(use_case, candidate, package),
            engine=package.manifest.engine,
            dataset_version=holdout.dataset_version,
            dataset_digest=holdout.dataset_digest,
            split=split_words(use_case.split),
            trainer=note.trainer,
            release_standard_digest=standard_digest(use_case.release_standard),
            looks=looks,
            estimates=(*_estimates("all", spreads), *_slices(use_case, holdout, sample)),
            differences=tuple(one for other in others for one in _differences(spreads, other)),
        )
        judged.append(Judged(candidate=candidate, evaluation=evaluation, sample=sample))
    return judged


def _others(lake: LakeResource, use_case: UseCase, holdout: Holdout, samples: list[Sample]) -> list[Other]:
    task = use_case.input_schema.task
    base = holdout.sample(np.tile(holdout.base, (holdout.frame.height, 1)))
    others = [Other(kind="base rate", name="the mean of the training labels", spreads=measure(task, base))]
    for candidate, sample in zip(use_case.candidates, samples, strict=True):
        if candidate.baseline:
            others.append(Other(kind="baseline", name=candidate.name, spreads=measure(task, sample)))
    champion = fold(lake.ledger(use_case.name).entries).champion
    if champion is not None:
        package = open_package(lake.store, use_case.name, champion.package_digest)
        scored = holdout.sample(score(package, holdout.frame))
        others.append(Other(kind="champion", name=champion.package_digest, spreads=measure(task, scored)))
    return others


def _estimates(slice_name: str, spreads: dict[str, Spread]) -> list[Estimate]:
    estimates = []
    for metric, spread in spreads.items():
        low, high = spread.interval or (None, None)
        estimates.append(Estimate(metric=metric, value=spread.value, n=spread.n, slice=slice_name, low=low, high=high))
    return estimates


def _slices(use_case: UseCase, holdout: Holdout, sample: Sample) -> list[Estimate]:
    estimates = []
    for name in use_case.slices:
        column = holdout.frame[name].cast(pl.String).fill_null("null")
        for value in column.unique().sort():
            part = measure(use_case.input_schema.task, sample.where((column == value).to_numpy()))
            estimates += _estimates(f"{name}={value}", part)
    return estimates


def _differences(spreads: dict[str, Spread], other: Other) -> list[Difference]:
    """Each metric minus the other's; without an interval, over too few days, there is none."""
    differences = []
    for metric in sorted(spreads.keys() & other.spreads.keys()):
        difference = spreads[metric].minus(other.spreads[metric])
        if difference.interval is not None:
            low, high = difference.interval
            differences.append(
                Difference(
                    metric=metric,
                    other=other.kind,
                    other_name=other.name,
                    value=difference.value,
                    low=low,
                    high=high,
                    n=difference.n,
                    days=difference.days,
                )
            )
    return differences


def _looks(table: Table, use_case: UseCase, packages: list[Package]) -> int:
    """How many packages have been judged on this holdout, these included: the more, the less the best one's lead says."""
    seen = {package.digest for package in packages}
    if table.exists():
        for document in table.scan().select("document").collect().to_series():
            look = decoded(document.encode(), "an evaluation", _Look)
            if look.split.get("holdout_from") == use_case.split.holdout_from:
                seen.add(look.package_digest)
    return len(seen)


def _base(labels: Numbers, schema: InputSchema) -> Numbers:
    if schema.task == "multiclass":
        return np.bincount(labels.astype(np.intp), minlength=len(schema.classes)) / labels.size
    return np.array([labels.mean()])
