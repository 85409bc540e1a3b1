"""Training again from a package's manifest: it comes out the same, or what differs is said; the lake stays as it was."""

from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pytest

from lake.documents import canonical
from lake.errors import NotFound, SettingError, Unavailable, VerificationError
from lake.home import Home
from lake.package import MANIFEST, Package, open_package, package_digest, put_package
from lake.tables import DATASET
from tests.parcel_training import Platform, failures, parcel_history, parcel_use_case
from tests.scenario import USE_CASE, parcel_schema
from trainserve_assets.digests import content_digest
from trainserve_assets.reproduce_command import reproduce
from trainserve_assets.training import read_note, train_candidate
from trainserve_assets.use_case import Candidate


def package_of(platform: Platform, candidate: str) -> Package:
    """The package of a candidate."""
    store = platform.lake.store
    return open_package(store, USE_CASE, read_note(store, USE_CASE, candidate).package_digest)


def resealed(platform: Platform, package: Package, **changes: Any) -> str:
    """Put a package into the lake that differs in its manifest alone; gives its digest."""
    manifest = msgspec.structs.replace(package.manifest, **changes)
    files = {**package.files, MANIFEST: canonical(manifest)}
    other = msgspec.structs.replace(package, digest=package_digest(files), files=files, manifest=manifest)
    put_package(platform.lake.store, other)
    return other.digest


def replace_dataset(platform: Platform, *, vacuum: bool) -> None:
    """Give the dataset another version, without its first hundred rows; the files of the former one may be removed."""
    table = platform.lake.table(USE_CASE, DATASET)
    rows = table.scan().collect()[100:]
    table.replace(rows, content_digest(rows))
    if vacuum:
        table.open().vacuum(0, dry_run=False, enforce_retention_duration=False)


def files_of(home: Home) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file in the lake."""
    files = (path for path in Path(home.lake).rglob("*") if path.is_file())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, on one line."""
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ("trees", "package has the same digest"),
        ("boosting", "model gives the same bits on all 32 sealed samples and all 1,386 rows of the holdout"),
        ("line", "model gives the same bits on all 32 sealed samples and all 1,386 rows of the holdout"),
    ],
)
def test_a_package_is_reproduced_from_its_manifest_and_the_lake_stays_as_it_was(
    platform: Platform, home: Home, capsys: pytest.CaptureFixture[str], candidate: str, words: str
) -> None:
    """No `defs.yaml` names this use case: the manifest is all there is to go by."""
    before = files_of(home)
    assert reproduce(package_of(platform, candidate).digest[:8]) == 0
    assert f"Reproduced: trained again, the {words}" in said(capsys)
    assert files_of(home) == before


def test_a_package_is_reproduced_on_the_version_it_was_trained_on(platform: Platform, capsys: pytest.CaptureFixture[str]) -> None:
    replace_dataset(platform, vacuum=False)
    assert reproduce(package_of(platform, "trees").digest, use_case=USE_CASE) == 0
    assert "dataset version 0 1 trained again on version 0" in said(capsys)


def test_a_parameter_that_is_a_whole_fraction_stays_one(platform: Platform) -> None:
    """Of all features, 1.0 of them; scikit-learn takes no 1 for it."""
    parameters = {"max_iter": 5, "max_leaf_nodes": 4, "max_features": 1.0}
    candidate = Candidate(name="boosting", trainer="hist_gradient_boosting", parameters=parameters)
    made, _ = train_candidate(platform.lake.store, platform.lake.table(USE_CASE, DATASET), platform.use_case, candidate)
    assert reproduce(made.package.digest) == 0


def parcels_in_classes() -> pl.LazyFrame:
    """Parcels whose label is a name."""
    known = pl.when(pl.col("label").is_not_null())
    return parcel_history().with_columns(
        label=known.then(pl.when(pl.col("label") == 1).then(pl.lit("late")).otherwise(pl.lit("ok")))
    )


def test_a_model_of_classes_is_reproduced(home: Home, instance: dg.DagsterInstance) -> None:
    schema = parcel_schema(task="multiclass", classes=("ok", "late"))
    use_case = parcel_use_case(source=f"{__name__}:parcels_in_classes", input_schema=schema)
    platform = Platform(home, instance, use_case)
    result = platform.run([DATASET, "candidate_trees", "candidate_line"])
    assert result.success, failures(result)
    for candidate in ("trees", "line"):
        assert reproduce(package_of(platform, candidate).digest) == 0


@pytest.mark.parametrize(
    ("candidate", "changes", "words"),
    [
        ("trees", {"seed": 4}, "model.cbm has other bytes"),
        ("trees", {"seed": 4}, "sealed samples are answered otherwise"),
        (
            "boosting",
            {"training_parameters": {"max_iter": 21, "max_leaf_nodes": 4}},
            "rows of the holdout are answered otherwise",
        ),
        (
            "trees",
            {"dataset_digest": "d" * 64},
            f"dataset_digest: '{'d' * 64}' in the manifest, ",
        ),
        (
            "trees",
            {"categories": {"depot": ("north",), "carrier": ("bike", "van")}},
            "categories of depot: ('north',) in the manifest, ('harbour', 'north', 'south') when trained again",
        ),
        (
            "line",
            {"split": {"train_from": "2013-04-01", "holdout_from": "2013-05-19", "holdout_until": "2013-06-03", "version": "1"}},
            "99 rows of the dataset are in another split there than the manifest says",
        ),
    ],
)
def test_what_is_not_as_the_manifest_says_is_named(
    platform: Platform, capsys: pytest.CaptureFixture[str], candidate: str, changes: dict[str, Any], words: str
) -> None:
    assert reproduce(resealed(platform, package_of(platform, candidate), **changes)) == 1
    out = said(capsys)
    assert "Not reproduced:" in out
    assert words in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source_revision": f"{'0' * 40}-dirty"}, "the package cannot be traced to a commit"),
        ({"source_revision": "unknown"}, "the package cannot be traced to a commit"),
        ({"library_versions": {"catboost": "0.1"}}, "catboost 0.1 1."),
        ({"library_versions": {"no-such-library": "1"}}, "no-such-library 1 not installed another version"),
        ({"input_schema_version": 0}, "input schema version 0 1 fields were added since"),
    ],
)
def test_what_is_otherwise_here_than_it_was_then_is_said(
    platform: Platform, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    assert reproduce(resealed(platform, package_of(platform, "trees"), **changes)) == 0
    assert words in said(capsys)


def test_a_digest_that_nothing_has_is_refused(platform: Platform) -> None:
    assert platform.home.lake
    with pytest.raises(NotFound, match=rf"no package '{'f' * 10}'. Looked in the use cases \['{USE_CASE}'\]"):
        reproduce("f" * 10)
    with pytest.raises(NotFound, match="Looked in the use case 'no_such_case'"):
        reproduce(package_of(platform, "trees").digest, use_case="no_such_case")


@pytest.mark.parametrize("digest", ["abcdef0", "not a digest", "", "../../../"])
def test_what_is_no_digest_is_refused(platform: Platform, digest: str) -> None:
    assert platform.home.lake
    with pytest.raises(SettingError, match="expected at least the first 8 of its 64 digits"):
        reproduce(digest)


def test_a_digest_that_two_packages_begin_with_is_refused_naming_both(platform: Platform) -> None:
    digest = package_of(platform, "trees").digest
    twin = digest[:10] + ("0" if digest[10] != "0" else "1") + digest[11:]
    platform.lake.store.put(f"other_case/packages/{twin}/{MANIFEST}", b"{}")
    with pytest.raises(SettingError, match=f"more of it: {USE_CASE}/{digest}, other_case/{twin} begin so") as refused:
        reproduce(digest[:10])
    assert str(refused.value).startswith(f"the package digest is '{digest[:10]}'") or USE_CASE > "other_case"
    assert reproduce(digest) == 0


def test_a_dataset_version_that_was_vacuumed_is_named(platform: Platform) -> None:
    replace_dataset(platform, vacuum=True)
    with pytest.raises(NotFound, match=f"no dataset version '{USE_CASE}/dataset/0'. It cannot be read .*Was it vacuumed"):
        reproduce(package_of(platform, "trees").digest)


def test_a_dataset_version_that_never_was_is_named(platform: Platform) -> None:
    with pytest.raises(NotFound, match=f"no dataset version '{USE_CASE}/dataset/7'"):
        reproduce(resealed(platform, package_of(platform, "trees"), dataset_version=7))


@pytest.mark.parametrize("changes", [{"trainer": ""}, {"trainer": "magic"}, {"example_key": ()}, {"split": {"train": "1"}}])
def test_a_manifest_that_says_too_little_is_named(platform: Platform, changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationError, match="candidate 'trees', whose manifest is what training again goes by"):
        reproduce(resealed(platform, package_of(platform, "trees"), **changes))


def test_a_lake_that_is_away_is_not_made(home: Home) -> None:
    with pytest.raises(Unavailable, match="its folder is not there"):
        reproduce("0" * 64)
    assert not Path(home.lake).exists()
