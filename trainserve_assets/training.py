"""Training a candidate: from the dataset's rows to a sealed package, and the note that says which package it is."""

import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from lake.delta import Table
from lake.documents import Document, DocumentStore, canonical, decoded
from lake.engines import Row, engine_module
from lake.errors import NotFound, SettingError, VerificationError
from lake.input_schema import InputSchema
from lake.package import Manifest, Package, seal
from trainserve_assets.examples import read_examples, rows_of
from trainserve_assets.trainers import MOST_CATEGORIES, Lesson, Trained, train
from trainserve_assets.use_case import Candidate, Split, UseCase

SAMPLE_ROWS = 32
_UNSEEN = "(never seen)"


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


def train_candidate(store: DocumentStore, dataset: Table, use_case: UseCase, candidate: Candidate) -> tuple[Package, Lesson]:
    """Train on the newest dataset and seal the package; equal data and code give an equal CatBoost package.

    Before sealing, the saved and loaded model must repeat the trained one's answers to the bit, over the whole
    holdout and the edge rows. Raises NotFound, SettingError, VerificationError.
    """
    dataset_version = dataset.open().version()
    rows = {split: read_examples(dataset, use_case, dataset_version, split) for split in ("train", "holdout")}
    for split, frame in rows.items():
        if frame.is_empty():
            raise SettingError(f"split of {use_case.name!r}", f"no row in {split}", "rows in train and in holdout")
    lesson = _lesson(use_case, rows["train"])
    trained = train(candidate.trainer, lesson, candidate.parameters, candidate.seed)
    manifest = Manifest(
        use_case=use_case.name,
        candidate=candidate.name,
        task=lesson.task,
        engine=trained.engine,
        features=lesson.features,
        categories=dict(lesson.categories),
        classes=use_case.input_schema.classes,
        seed=candidate.seed,
        training_parameters=trained.parameters,
        source_revision=source_revision(),
        dataset_version=dataset_version,
        dataset_digest=str(dataset.digest()),
        split=split_words(use_case.split),
        input_schema_version=use_case.input_schema.version,
        library_versions={library: version(library) for library in trained.libraries},
    )
    samples = _samples(rows["train"], lesson)
    prove_equal(trained, manifest, [*samples, *rows_of(rows["holdout"], lesson.features)])
    return seal(store, manifest, trained.model, samples), lesson


def numbers(labels: pl.Series, schema: InputSchema) -> npt.NDArray[np.float64]:
    """Labels as numbers: for a multiclass use case the position in the list of classes. Raises SettingError."""
    if schema.task != "multiclass":
        return labels.to_numpy().astype(np.float64)
    positions = {name: float(position) for position, name in enumerate(schema.classes)}
    unknown = sorted(set(labels.unique()) - set(positions))
    if unknown:
        raise SettingError(f"label of {schema.use_case!r}", unknown, f"one of the classes {list(schema.classes)}")
    return labels.replace_strict(positions, return_dtype=pl.Float64).to_numpy()


def split_words(split: Split) -> dict[str, str]:
    """The split as manifest and evaluation name it."""
    return {name: str(value) for name, value in msgspec.structs.asdict(split).items()}


def source_revision() -> str:
    """The commit of the code that trains, with `-dirty` behind it when files differ from it; "unknown" without git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing in it comes from outside
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _lesson(use_case: UseCase, frame: pl.DataFrame) -> Lesson:
    schema = use_case.input_schema
    categories = {}
    for name in use_case.features:
        if schema.field(name).type == "category":
            categories[name] = tuple(frame[name].drop_nulls().unique().sort())
            if len(categories[name]) > MOST_CATEGORIES:
                found = f"{len(categories[name])} values"
                raise SettingError(f"category {name!r} of {use_case.name!r}", found, f"at most {MOST_CATEGORIES} that occur")
    return Lesson(
        task=schema.task,
        features=use_case.features,
        categories=categories,
        rows=rows_of(frame, use_case.features),
        labels=numbers(frame["label"], schema),
    )


def _samples(frame: pl.DataFrame, lesson: Lesson) -> list[tuple[Any, ...]]:
    """Rows to seal: spread over the training rows, then one of nulls alone and one of categories never seen."""
    spread = np.linspace(0, frame.height - 1, min(SAMPLE_ROWS - 2, frame.height)).astype(int).tolist()
    known = rows_of(frame[spread], lesson.features)
    nulls = tuple(None for _ in lesson.features)
    unseen = tuple(_UNSEEN if name in lesson.categories else value for name, value in zip(lesson.features, known[0], strict=True))
    return [*known, nulls, unseen]


def prove_equal(trained: Trained, manifest: Manifest, rows: Sequence[Row]) -> None:
    """Refuse a model whose saved and loaded form answers any of these rows otherwise, by a single bit."""
    module = engine_module(trained.engine)
    loaded = module.load(module.save(trained.model), manifest).scores(rows)
    different = sum(one != other for one, other in zip(loaded, trained.predict(rows), strict=True))
    if different:
        raise VerificationError(
            f"candidate {manifest.candidate!r} on engine {trained.engine!r}",
            f"{different} of {len(rows)} answers that differ",
            "none",
        )
