"""Training a package again from its manifest, and what then differs. Nothing is written into the lake.

Everything comes from the package and the dataset's version that it names, and nothing from `defs.yaml`, which may have
changed since.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import cast, get_args

import msgspec
import polars as pl

from lake.delta import Table
from lake.documents import DocumentStore
from lake.engines import catboost as catboost_engine
from lake.errors import NotFound, SettingError, Unavailable, VerificationError
from lake.input_schema import read_input_schema
from lake.package import Manifest, Package, exact, open_package
from trainserve_assets.digests import content_digest
from trainserve_assets.examples import rows_of, split_of, start_of
from trainserve_assets.revision import is_traceable, source_revision
from trainserve_assets.trainers import train
from trainserve_assets.training import make_lesson, packed
from trainserve_assets.use_case import Split, Trainer

SHORTEST_PREFIX = 8
_CHUNK = 10_000
# Whose files are equal byte for byte when trained equally; those of the others only answer equally.
_REPEATS_BYTES = frozenset({catboost_engine.NAME})

_BY_MANIFEST = "split by the manifest"  # no field has such a name


class Circumstance(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the manifest names, as it was then and as it is here; `note` says what is to be known about it."""

    what: str
    then: str
    here: str
    note: str = ""


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one version of the dataset, by the manifest's split, and their digest.

    `misplaced` counts the rows whose own split is another: the dataset was made for another one.
    """

    known: pl.DataFrame
    holdout: pl.DataFrame
    digest: str
    misplaced: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A package beside what training again gave. `differences` is empty where it was reproduced.

    The counts are of rows whose scores differ by at least one bit.
    """

    digest: str
    samples: int
    different_samples: int
    holdout_rows: int
    different_holdout_rows: int
    differences: tuple[str, ...]


def find_package(store: DocumentStore, digest: str, use_case: str | None = None) -> Package:
    """The package whose digest begins so, in any use case or in the one named, checked byte for byte.

    Raises SettingError when the digest is too short or fits several, NotFound, VerificationError.
    """
    if len(digest) < SHORTEST_PREFIX or set(digest) - set("0123456789abcdef"):
        raise SettingError("the package digest", digest, f"at least the first {SHORTEST_PREFIX} of its 64 digits 0-9 and a-f")
    names = store.folders() if use_case is None else [use_case]
    found = [(name, package) for name in names for package in store.folders(f"{name}/packages") if package.startswith(digest)]
    if not found:
        where = f"the use case {use_case!r}" if use_case else f"the use cases {names}"
        raise NotFound("package", digest, f"Looked in {where} of the lake {store.root}.")
    if len(found) > 1:
        raise SettingError("the package digest", digest, f"more of it: {', '.join('/'.join(one) for one in found)} begin so")
    return open_package(store, *found[0])


def circumstances(store: DocumentStore, dataset: Table, manifest: Manifest) -> Iterator[Circumstance]:
    """What the manifest names beside what is here: the code, the libraries, the dataset, the input schema."""
    yield _revision(manifest.source_revision, source_revision())
    for library, then in sorted(manifest.library_versions.items()):
        try:
            here = version(library)
        except PackageNotFoundError:
            here = "not installed"
        note = "" if here == then else "another version may train another model"
        yield Circumstance(what=library, then=then, here=here, note=note)
    newest = dataset.open().version()
    note = "" if newest == manifest.dataset_version else f"trained again on version {manifest.dataset_version}"
    yield Circumstance(what="dataset version", then=str(manifest.dataset_version), here=str(newest), note=note)
    schema = read_input_schema(store, manifest.use_case)
    note = "" if schema.version == manifest.input_schema_version else "fields were added since"
    if lacking := [name for name in manifest.features if name not in schema.names]:
        note = f"it lacks {', '.join(lacking)}"
    yield Circumstance(what="input schema version", then=str(manifest.input_schema_version), here=str(schema.version), note=note)


def read_rows(dataset: Table, manifest: Manifest) -> Examples:
    """The dataset at the manifest's version, split and sorted as the manifest says.

    Raises NotFound when that version is gone, VerificationError when the manifest does not say enough.
    """
    split = _split(manifest)
    key = list(manifest.example_key)
    try:
        rows = dataset.scan(manifest.dataset_version).sort([*key, "label"], nulls_last=True).collect()
    except (Unavailable, OSError, pl.exceptions.ComputeError) as error:
        do = f"It cannot be read ({error}). Was it vacuumed? Without its rows nothing can be trained again."
        raise NotFound("dataset version", f"{manifest.use_case}/dataset/{manifest.dataset_version}", do) from error
    time = pl.col(key[0])
    placed = rows.with_columns(pl.when(time >= start_of(split.train_from)).then(split_of(time, split)).alias(_BY_MANIFEST))
    parts = {
        name: placed.filter(pl.col(_BY_MANIFEST) == name).select(rows.columns).sort(key, nulls_last=True)
        for name in ("train", "holdout")
    }
    return Examples(
        known=parts["train"],
        holdout=parts["holdout"],
        digest=content_digest(rows),
        misplaced=placed.filter(pl.col(_BY_MANIFEST).ne_missing(pl.col("split"))).height,
    )


def train_again(manifest: Manifest, rows: Examples) -> Package:
    """The package that the manifest's training gives here and now, in memory.

    What training does not bear on (revision and libraries) is as the manifest says; all that it makes is made anew.
    """
    lesson = make_lesson(rows.known, manifest.features, manifest.categories, manifest)
    floats = manifest.float_parameters
    parameters = {name: float(value) if name in floats else value for name, value in manifest.training_parameters.items()}
    trained = train(cast("Trainer", manifest.trainer), lesson, parameters, manifest.seed)
    made = msgspec.structs.replace(
        manifest,
        reference=trained.engine,
        categories=dict(lesson.categories),
        training_parameters=trained.parameters,
        dataset_digest=rows.digest,
    )
    return packed(trained, made, [manifest.engine], rows.known, rows.holdout).package


def compare(package: Package, again: Package, rows: Examples) -> Comparison:
    """What differs. A CatBoost package has to have the same digest, one of scikit-learn the same answers to the bit."""
    engine = again.load().engine
    different_samples = sum(exact(engine.scores([sample.row])[0]) != sample.scores for sample in package.samples)
    different_rows = 0 if again.digest == package.digest else _different_rows(package, again, rows.holdout)
    differences = [*_manifest_differences(package.manifest, again.manifest)]
    if rows.misplaced:
        differences.append(f"{rows.misplaced:,} rows of the dataset are in another split there than the manifest says")
    if different_samples:
        differences.append(f"{different_samples} of {len(package.samples)} sealed samples are answered otherwise")
    if different_rows:
        differences.append(f"{different_rows:,} of {rows.holdout.height:,} rows of the holdout are answered otherwise")
    if package.manifest.reference in _REPEATS_BYTES:
        names = sorted(package.files.keys() | again.files.keys())
        differences += [f"{name} has other bytes" for name in names if package.files.get(name) != again.files.get(name)]
    return Comparison(
        digest=again.digest,
        samples=len(package.samples),
        different_samples=different_samples,
        holdout_rows=rows.holdout.height,
        different_holdout_rows=different_rows,
        differences=tuple(differences),
    )


def _split(manifest: Manifest) -> Split:
    """The manifest's split, once all is there that training again goes by. Raises VerificationError."""
    what = f"candidate {manifest.candidate!r}, whose manifest is what training again goes by,"
    if not manifest.example_key or manifest.trainer not in get_args(Trainer):
        found = f"trainer {manifest.trainer!r} and example_key {list(manifest.example_key)}"
        expected = f"one of {', '.join(get_args(Trainer))} and the columns to sort by; a candidate trained anew has both"
        raise VerificationError(what, found, expected)
    try:
        return msgspec.convert(manifest.split, Split, strict=False)
    except msgspec.ValidationError as error:
        raise VerificationError(what, f"the split {manifest.split} ({error})", "the days of a split") from error


def _revision(then: str, here: str) -> Circumstance:
    note = "" if then == here else "another revision may train another model"
    if not is_traceable(here):
        note = "the code here cannot be traced to a commit"
    if not is_traceable(then):
        note = "the package cannot be traced to a commit"
    return Circumstance(what="code revision", then=_short(then), here=_short(here), note=note)


def _short(revision: str) -> str:
    commit, dash, dirty = revision.partition("-")
    return f"{commit[:12]}{dash}{dirty}"


def _different_rows(package: Package, again: Package, holdout: pl.DataFrame) -> int:
    """How many rows the two models answer otherwise."""
    then, now = package.load().engine, again.load().engine
    different = 0
    for part in holdout.iter_slices(_CHUNK):
        scores = (
            then.scores(rows_of(part, package.manifest.features)),
            now.scores(rows_of(part, again.manifest.features)),
        )
        different += sum(exact(one) != exact(other) for one, other in zip(*scores, strict=True))
    return different


def _manifest_differences(then: Manifest, now: Manifest) -> Iterator[str]:
    for name in Manifest.__struct_fields__:
        one, other = getattr(then, name), getattr(now, name)
        if one == other:
            continue
        if isinstance(one, dict):
            for key in sorted(one.keys() | other.keys()):
                if one.get(key) != other.get(key):
                    yield f"{name} of {key}: {one.get(key)!r} in the manifest, {other.get(key)!r} when trained again"
        else:
            yield f"{name}: {one!r} in the manifest, {other!r} when trained again"
