"""Training a candidate: from the dataset's rows to a sealed package, and the note that says which package it is."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from lake.delta import Table
from lake.documents import Document, DocumentStore, canonical, decoded
from lake.engines import Row, translations
from lake.errors import NotFound, SettingError, VerificationError
from lake.input_schema import Task
from lake.package import Manifest, Package, open_package, pack, put_package
from trainserve_assets.examples import example_key, held_version, read_examples, rows_of
from trainserve_assets.parity import UNSEEN, differing, edge_rows
from trainserve_assets.revision import source_revision
from trainserve_assets.trainers import MOST_CATEGORIES, Lesson, Trained, train
from trainserve_assets.use_case import Candidate, Split, UseCase

SAMPLE_ROWS = 32
_FEWER = "let the source give rare ones one name, or leave the field out of features"


class Note(Document, frozen=True, kw_only=True):
    """Which package a candidate is at the moment, and who launched its training; kept as `candidates/<name>.json`."""

    candidate: str
    package_digest: str
    trainer: str
    training_rows: int
    format_version: int = 1


def write_note(store: DocumentStore, use_case: str, note: Note) -> None:
    """Replace the candidate's note. Safe to run twice."""
    store.put(f"{use_case}/candidates/{note.candidate}.json", canonical(note))


def read_note(store: DocumentStore, use_case: str, candidate: str) -> Note:
    """The candidate's note. Raises NotFound, saying what writes it."""
    data = store.find(f"{use_case}/candidates/{candidate}.json")
    if data is None:
        raise NotFound("candidate", f"{use_case}/{candidate}", f"Materialize {use_case}/candidate_{candidate}.")
    return decoded(data, f"the note of candidate {use_case}/{candidate}", Note)


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A package, and why engines that could answer faster than the trained model's own are not the ones that do."""

    package: Package
    passed_over: dict[str, str]


def train_candidate(store: DocumentStore, dataset: Table, use_case: UseCase, candidate: Candidate) -> tuple[Packed, Lesson]:
    """Train on the newest dataset and seal the package; equal data and code give an equal CatBoost package.

    Before sealing, the saved and loaded model must repeat the trained one's answers to the bit, over the whole
    holdout and the edge rows. Raises NotFound, SettingError, VerificationError.
    """
    dataset_version = held_version(dataset, use_case)
    rows = {split: read_examples(dataset, use_case, dataset_version, split) for split in ("train", "holdout")}
    lesson = lesson_of(use_case, rows["train"])
    trained = train(candidate.trainer, lesson, candidate.parameters, candidate.seed)
    manifest = Manifest(
        use_case=use_case.name,
        candidate=candidate.name,
        task=lesson.task,
        engine=trained.engine,
        reference=trained.engine,
        features=lesson.features,
        categories=dict(lesson.categories),
        classes=use_case.input_schema.classes,
        trainer=candidate.trainer,
        seed=candidate.seed,
        training_parameters=trained.parameters,
        float_parameters=tuple(sorted(name for name, value in trained.parameters.items() if isinstance(value, float))),
        source_revision=source_revision(),
        dataset_version=dataset_version,
        dataset_digest=str(dataset.digest()),
        split=split_words(use_case.split),
        example_key=tuple(example_key(use_case.input_schema)),
        input_schema_version=use_case.input_schema.version,
        library_versions={library: version(library) for library in trained.libraries},
    )
    engines = [trained.engine] if use_case.engine == "reference" else [*translations(), trained.engine]
    made = packed(trained, manifest, engines, rows["train"], rows["holdout"])
    put_package(store, made.package)
    open_package(store, use_case.name, made.package.digest)
    return made, lesson


def packed(trained: Trained, manifest: Manifest, engines: Sequence[str], known: pl.DataFrame, holdout: pl.DataFrame) -> Packed:
    """The package of a model with the first of these engines that answers as the trained model does; written nowhere.

    Its samples are from the rows that the model was trained on. Raises VerificationError when no engine answers so.
    """
    samples = _samples(known, manifest)
    native = pack(manifest, trained.model, samples)
    rows: list[Row] = [*samples, *rows_of(holdout, manifest.features)]
    rows += edge_rows(rows, manifest, native.reference().borders())
    expected = trained.predict(rows)
    passed_over: dict[str, str] = {}
    for name in engines:
        try:
            package = pack(msgspec.structs.replace(manifest, engine=name), trained.model, samples)
            if not (different := differing(package.as_named(), manifest.features, rows, expected)):
                return Packed(package=package, passed_over=passed_over)
            passed_over[name] = f"{different:,} of {len(rows):,} answers differ"
        except Exception as error:  # noqa: BLE001 - Untranslatable, or whatever its library raises: another engine answers
            passed_over[name] = str(error)
    found = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise VerificationError(f"candidate {manifest.candidate!r}", found, "an engine that answers as the trained model does")


class Predicted(Protocol):
    """What is predicted, as an input schema or a manifest says it."""

    @property
    def use_case(self) -> str:
        """Whose label it is."""

    @property
    def task(self) -> Task:
        """What kind of label it is."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of a multiclass label, in the order of its scores."""


def numbers(labels: pl.Series, predicted: Predicted) -> npt.NDArray[np.float64]:
    """Labels as numbers: for a multiclass use case the position in the list of classes. Raises SettingError."""
    if predicted.task != "multiclass":
        return labels.to_numpy().astype(np.float64)
    positions = {name: float(position) for position, name in enumerate(predicted.classes)}
    unknown = sorted(set(labels.unique()) - set(positions))
    if unknown:
        raise SettingError(f"label of {predicted.use_case!r}", unknown, f"one of the classes {list(predicted.classes)}")
    return labels.replace_strict(positions, return_dtype=pl.Float64).to_numpy()


def split_words(split: Split) -> dict[str, str]:
    """The split as manifest and evaluation name it."""
    return {name: str(value) for name, value in msgspec.structs.asdict(split).items()}


def lesson_of(use_case: UseCase, frame: pl.DataFrame) -> Lesson:
    """What labelled rows teach by the use case as it is today. Raises SettingError."""
    schema = use_case.input_schema
    categories = [name for name in use_case.features if schema.field(name).type == "category"]
    return make_lesson(frame, use_case.features, categories, schema)


def make_lesson(frame: pl.DataFrame, features: tuple[str, ...], categories: Iterable[str], predicted: Predicted) -> Lesson:
    """What labelled rows teach. Raises SettingError when a category has too many values, or a label is no class."""
    values = {}
    for name in categories:
        values[name] = tuple(frame[name].drop_nulls().unique().sort())
        if len(values[name]) > MOST_CATEGORIES:
            found = f"{len(values[name])} values"
            expected = f"at most {MOST_CATEGORIES} that occur: {_FEWER}"
            raise SettingError(f"category {name!r} of {predicted.use_case!r}", found, expected)
    return Lesson(
        task=predicted.task,
        features=features,
        categories=values,
        rows=rows_of(frame, features),
        labels=numbers(frame["label"], predicted),
    )


def _samples(frame: pl.DataFrame, manifest: Manifest) -> list[tuple[Any, ...]]:
    """Rows to seal: spread over the training rows, then one of nulls alone and one of categories never seen."""
    spread = np.linspace(0, frame.height - 1, min(SAMPLE_ROWS - 2, frame.height)).astype(int).tolist()
    known = rows_of(frame[spread], manifest.features)
    nulls = tuple(None for _ in manifest.features)
    unseen = tuple(
        UNSEEN if name in manifest.categories else value for name, value in zip(manifest.features, known[0], strict=True)
    )
    return [*known, nulls, unseen]
