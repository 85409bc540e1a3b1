"""Versions of the dataset that held an erased entity: their files go, and what was made of them can no longer be made again."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
import polars as pl

from lake.delta_erasure import readable, versions
from lake.documents import Document, DocumentStore, canonical, decoded
from lake.evaluation import Evaluation
from lake.input_schema import InputSchema
from lake.log.erasure_requests import ErasureRequest
from lake.package import MANIFEST, SAMPLES, Manifest, Sample
from lake.tables import DATASET, EVALUATION
from lake.times import rfc3339
from trainserve_assets.erasure.examples import ErasedExamples
from trainserve_assets.examples import rows_of
from trainserve_assets.resources import LakeResource

_FOLDER = "erased_versions"


class ErasedVersion(Document, frozen=True, kw_only=True):
    """A version of the dataset that was removed for an erasure, cited or not, and what rests on it.

    `packages` were trained on it and `evaluations` judged on it: none of them can be reproduced. `samples_in` are those of
    these packages whose sealed samples, or categories, hold the values of a row about the entity.
    """

    use_case: str
    dataset_version: int
    packages: tuple[str, ...]
    evaluations: tuple[str, ...]
    samples_in: tuple[str, ...]
    erasure_ids: tuple[str, ...]
    named_at_utc: str
    format_version: int = 1


class Dataset(msgspec.Struct):
    """The versions of a dataset that are there: those with rows about erased entities, each with these rows, and all others.

    `clean` are the versions whose files stay.
    """

    tainted: dict[int, pl.DataFrame]
    clean: list[int]


# Rows about erased entities, by the names of the files that have them.
Seen = dict[frozenset[str], pl.DataFrame]


def look_through(lake: LakeResource, use_case: str, erased: ErasedExamples, seen: Seen) -> Dataset:
    """Read every version of the dataset that can still be read; what was `seen` of its files is not read again."""
    table, found = lake.table(use_case, DATASET), Dataset({}, [])
    if not table.exists():
        return found
    known = versions(table)
    files = dict(known)
    for number in readable(lake.store, table, known):
        rows = seen.get(files[number])
        if rows is None:
            rows = seen.setdefault(files[number], erased.among(table.scan(number)))
        if rows.is_empty():
            found.clean.append(number)
        else:
            found.tainted[number] = rows
    return found


def name_versions(
    lake: LakeResource, schema: InputSchema, tainted: dict[int, pl.DataFrame], requests: Sequence[ErasureRequest], at: datetime
) -> list[ErasedVersion]:
    """What can no longer be reproduced once these versions are gone. Nothing is written."""
    use_case, key = schema.use_case, schema.entity_key
    manifests = dict(_manifests(lake.store, use_case))
    judged = list(_judged(lake, use_case))
    named = []
    for number, rows in sorted(tainted.items()):
        packages = {digest: manifest for digest, manifest in manifests.items() if manifest.dataset_version == number}
        named.append(
            ErasedVersion(
                use_case=use_case,
                dataset_version=number,
                packages=tuple(sorted(packages)),
                evaluations=tuple(sorted(evaluation for evaluation, version in judged if version == number)),
                samples_in=tuple(
                    sorted(digest for digest, one in packages.items() if _holds(lake.store, digest, one, rows, key))
                ),
                erasure_ids=tuple(sorted(request.erasure_id for request in requests)),
                named_at_utc=rfc3339(at),
            )
        )
    return named


def keep_named(store: DocumentStore, named: Sequence[ErasedVersion]) -> None:
    """Write down, durably, what can no longer be reproduced, beside what was known of the same version before."""
    for one in named:
        before = find_erased_version(store, one.use_case, one.dataset_version)
        store.put(_path(one.use_case, one.dataset_version), canonical(one if before is None else _together(before, one)))


def _together(before: ErasedVersion, now: ErasedVersion) -> ErasedVersion:
    """What two erasures name of one version."""
    return msgspec.structs.replace(
        now,
        packages=tuple(sorted({*before.packages, *now.packages})),
        evaluations=tuple(sorted({*before.evaluations, *now.evaluations})),
        samples_in=tuple(sorted({*before.samples_in, *now.samples_in})),
        erasure_ids=tuple(sorted({*before.erasure_ids, *now.erasure_ids})),
    )


def find_erased_version(store: DocumentStore, use_case: str, dataset_version: int) -> ErasedVersion | None:
    """What is known of a version that was removed for an erasure, or None for any other."""
    data = store.find(_path(use_case, dataset_version))
    return None if data is None else decoded(data, f"erased version {dataset_version} of {use_case!r}", ErasedVersion)


def erased_versions(store: DocumentStore, use_case: str, erasure_id: str) -> list[ErasedVersion]:
    """All versions that went for this erasure."""
    folder = f"{use_case}/{_FOLDER}"
    found = [decoded(store.get(f"{folder}/{name}"), f"{folder}/{name}", ErasedVersion) for name in store.names(folder)]
    return [one for one in found if erasure_id in one.erasure_ids]


def _path(use_case: str, dataset_version: int) -> str:
    return f"{use_case}/{_FOLDER}/{dataset_version:08}.json"


def _manifests(store: DocumentStore, use_case: str) -> Iterator[tuple[str, Manifest]]:
    folder = f"{use_case}/packages"
    for digest in store.folders(folder):
        data = store.find(f"{folder}/{digest}/{MANIFEST}")
        if data is not None:
            yield digest, decoded(data, f"the manifest of package {digest[:12]}", Manifest)


def _judged(lake: LakeResource, use_case: str) -> Iterator[tuple[str, int]]:
    """Every evaluation, and the version of the dataset that it judged on."""
    table = lake.table(use_case, EVALUATION)
    if table.exists():
        for name, document in table.scan().select("evaluation_id", "document").unique().collect().iter_rows():
            yield name, decoded(document.encode(), f"evaluation {name[:12]}", Evaluation).dataset_version


def _holds(store: DocumentStore, digest: str, manifest: Manifest, rows: pl.DataFrame, key: Sequence[str]) -> bool:
    """Whether the package itself holds the values of one of these rows, or lists the entity among its categories."""
    if all(name in manifest.categories for name in key):
        listed = [manifest.categories[name] for name in key]
        if any(all(value in values for value, values in zip(one, listed, strict=True)) for one in rows.select(key).rows()):
            return True
    data = store.find(f"{manifest.use_case}/packages/{digest}/{SAMPLES}")
    samples = () if data is None else decoded(data, f"the samples of package {digest[:12]}", tuple[Sample, ...])
    if not set(manifest.features) <= set(rows.columns):
        return False
    return not {sample.read(manifest).row for sample in samples}.isdisjoint(rows_of(rows, manifest.features))
