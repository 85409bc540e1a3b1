"""The model package: an immutable folder `packages/<digest>/`, sealed once by its candidate.

It holds the model in its native format, `manifest.json`, and `samples.json`: rows with the scores that the trained
model gave them, to the bit. The digest is over the sorted digests of the files.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lake.columns import Columns
from lake.documents import Document, DocumentReader, DocumentStore, canonical, decoded, sha256
from lake.engines import ColumnarEngine, Engine, ReferenceEngine, Translation, engine_module, reference
from lake.errors import NotFound, SettingError, VerificationError
from lake.input_schema import Task

MANIFEST = "manifest.json"
SAMPLES = "samples.json"
_GREATEST_IN_JSON = 2**53 - 1
_DIGITS = re.compile(r"-?[0-9]{16,19}")


class Manifest(Document, frozen=True, kw_only=True):
    """What the package is and what it came from. Holds no time, so that training again gives the same digest.

    `engine` answers with it, and was proven to give the bits of `reference`, the trained model's own.
    `features` are the fields of the input schema that the model uses, in the order of its rows; `categories` lists,
    for each field that the model takes as a category, the values it was trained on. What training again goes by, and
    older packages lack: `trainer`, the way it was trained; `float_parameters`, since JSON tells no 1.0 from 1; and
    `example_key`, the columns that its rows were sorted by, the event time first.
    """

    use_case: str
    candidate: str
    task: Task
    engine: str
    reference: str
    features: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    classes: tuple[str, ...] = ()
    trainer: str = ""
    seed: int
    training_parameters: dict[str, Any]
    float_parameters: tuple[str, ...] = ()
    source_revision: str
    dataset_version: int
    dataset_digest: str
    split: dict[str, str]
    example_key: tuple[str, ...] = ()
    input_schema_version: int
    library_versions: dict[str, str]
    format_version: int = 1


class Sample(Document, frozen=True, kw_only=True):
    """One sealed row and the scores that the trained model gave it, as hexadecimal floats."""

    row: tuple[Any, ...]
    scores: tuple[str, ...]

    def written(self) -> "Sample":
        """The sample as it stands in the file: an integer that canonical JSON has no number for is its digits, as text."""
        row = (str(value) if type(value) is int and abs(value) > _GREATEST_IN_JSON else value for value in self.row)
        return msgspec.structs.replace(self, row=tuple(row))

    def read(self, manifest: Manifest) -> "Sample":
        """The sample of a file as it was sealed: text is a category, else such an integer."""
        numbers = {position for position, name in enumerate(manifest.features) if name not in manifest.categories}
        row = (
            int(value) if position in numbers and isinstance(value, str) and _DIGITS.fullmatch(value) else value
            for position, value in enumerate(self.row)
        )
        return msgspec.structs.replace(self, row=tuple(row))


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a package, checked against its digest."""

    digest: str
    files: dict[str, bytes]
    manifest: Manifest
    samples: tuple[Sample, ...]

    def load(self) -> "LoadedEngine":
        """The model, loaded from these very bytes and warmed up on the sealed samples.

        Where its engine cannot be had here, or differs from a sealed score by a single bit, the trained model's own takes
        its place. Raises VerificationError when that differs too.
        """
        manifest = self.manifest
        try:
            return LoadedEngine(engine=self._verified(self.as_named()))
        except Exception as error:  # engines raise what their libraries do
            if manifest.engine == manifest.reference:
                raise
            why = f"{manifest.reference} answers in the place of {manifest.engine}: {error}"
            return LoadedEngine(engine=self._verified(self.reference()), instead=why)

    def as_named(self) -> Engine:
        """The engine that the manifest names, not yet held against the samples."""
        return engine_module(self.manifest.engine).load(self.files, self.manifest)

    def reference(self) -> ReferenceEngine:
        """The trained model's own engine, not yet held against the samples."""
        return reference(self.manifest.reference).load(self.files, self.manifest)

    def _verified(self, engine: Engine) -> Engine:
        for sample in self.samples:
            self._verify(sample, engine.scores([sample.row]))
            if isinstance(engine, ColumnarEngine):
                self._verify(sample, engine.scores_of_columns(Columns.of_rows(self.manifest.features, [sample.row])))
        return engine

    def _verify(self, sample: Sample, scores: Sequence[Sequence[float]]) -> None:
        found = exact(scores[0])
        if found != sample.scores:
            raise VerificationError(f"a sealed sample of package {self.digest[:12]}", str(found), str(sample.scores))


class LoadedEngine(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that gave the sealed scores; `instead` says why it is not the one that the manifest names."""

    engine: Engine
    instead: str | None = None


def package_digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 over the lines `<sha256>  <name>`, sorted by name."""
    return sha256("".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items())).encode())


def pack(manifest: Manifest, model: object, rows: Sequence[Sequence[Any]]) -> Package:
    """The package of a trained model with sealed samples of these rows, at least one; it is written nowhere.

    Raises Untranslatable when the manifest's engine cannot run it.
    """
    if not rows:
        raise SettingError("the rows to seal", "none", "at least one: they prove that the model is loaded as it was trained")
    native = reference(manifest.reference)
    files = {native.FILE: native.save(model)}
    engine = native.load(files, manifest)
    samples = tuple(Sample(row=tuple(row), scores=exact(engine.scores([row])[0])) for row in rows)
    module = engine_module(manifest.engine)
    if isinstance(module, Translation):
        files |= module.translate(model, manifest)
    files |= {MANIFEST: canonical(manifest), SAMPLES: canonical([sample.written() for sample in samples])}
    return _read(package_digest(files), files)


def put_package(store: DocumentStore, package: Package) -> None:
    """Write a package into the lake. Safe to run twice."""
    for name, content in package.files.items():
        store.put(f"{package.manifest.use_case}/packages/{package.digest}/{name}", content)


def seal(store: DocumentStore, manifest: Manifest, model: object, rows: Sequence[Sequence[Any]]) -> Package:
    """Write the package of a trained model with sealed samples of these rows, at least one. Safe to run twice."""
    put_package(store, package := pack(manifest, model, rows))
    return open_package(store, manifest.use_case, package.digest)


def open_package(store: DocumentReader, use_case: str, digest: str) -> Package:
    """Read a package and check every byte against its digest. Raises NotFound, VerificationError."""
    folder = f"{use_case}/packages/{digest}"
    names = store.names(folder)
    if not names:
        raise NotFound("package", digest, f"Expected it in the lake, in {folder}.")
    files = {name: store.get(f"{folder}/{name}") for name in names}
    found = package_digest(files)
    if found != digest:
        raise VerificationError(f"package {digest[:12]}", f"bytes with digest {found}", f"digest {digest}")
    missing = {MANIFEST, SAMPLES} - set(names)
    if missing:
        raise VerificationError(f"package {digest[:12]}", f"the files {names}", f"also {sorted(missing)}")
    package = _read(digest, files)
    if package.manifest.use_case != use_case:
        raise VerificationError(f"package {digest[:12]}", f"a model of {package.manifest.use_case!r}", f"one of {use_case!r}")
    return package


def _read(digest: str, files: dict[str, bytes]) -> Package:
    manifest = decoded(files[MANIFEST], f"the manifest of package {digest[:12]}", Manifest)
    samples = decoded(files[SAMPLES], f"the samples of package {digest[:12]}", tuple[Sample, ...])
    return Package(digest=digest, files=files, manifest=manifest, samples=tuple(sample.read(manifest) for sample in samples))


def exact(scores: Sequence[float]) -> tuple[str, ...]:
    """Scores as hexadecimal floats, which are equal only where every bit is."""
    return tuple(score.hex() for score in scores)
