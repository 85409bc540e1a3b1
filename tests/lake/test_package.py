"""A package is the bytes that its digest names, or it is refused; its model answers to the bit as it was sealed."""

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lake.documents import DocumentStore, canonical
from lake.errors import NotFound, SettingError, VerificationError
from lake.home import Home
from lake.package import MANIFEST, SAMPLES, Package, open_package, package_digest, seal
from tests.scenario import USE_CASE, manifest, small_trees

ROWS = [("north", "van", 12.5, False), ("harbour", None, 180.0, True), ("south", "unheard of", 0.0, False)]
MODEL = "model.cbm"


@cache
def model(seed: int = 7) -> Any:
    """Trained once for all tests."""
    return small_trees(seed)


def sealed(store: DocumentStore, **changes: Any) -> Package:
    """The package of the model, in this store."""
    return seal(store, manifest(**changes), model(), ROWS)


def folder(home: Home, package: Package) -> Path:
    """Where its files stand."""
    return Path(home.lake) / USE_CASE / "packages" / package.digest


def placed(store: DocumentStore, files: dict[str, bytes]) -> str:
    """Put files where a package of just these files belongs; returns its digest."""
    digest = package_digest(files)
    for name, data in files.items():
        store.put(f"{USE_CASE}/packages/{digest}/{name}", data)
    return digest


def test_a_sealed_package_is_opened_with_its_manifest_and_answers_as_the_model_did(store: DocumentStore) -> None:
    package = open_package(store, USE_CASE, sealed(store).digest)

    assert package.manifest == manifest()
    assert sorted(package.files) == [MANIFEST, MODEL, SAMPLES]
    scores = package.load().engine.scores(ROWS)
    expected = model().predict_proba([["" if value is None else value for value in map(as_trained, row)] for row in ROWS])
    assert [score for [score] in scores] == expected[:, 1].tolist()


def as_trained(value: object) -> object:
    """A flag as the number that the model was trained on."""
    return float(value) if isinstance(value, bool) else value


def test_sealing_again_gives_the_same_digest_and_so_does_training_again(store: DocumentStore) -> None:
    first = sealed(store)
    again = seal(store, manifest(), small_trees(), ROWS)

    assert sealed(store).digest == first.digest == again.digest
    assert store.folders(f"{USE_CASE}/packages") == [first.digest]


def test_another_model_or_another_manifest_is_another_package(store: DocumentStore) -> None:
    other_model = seal(store, manifest(), model(seed=8), ROWS)
    other_rows = seal(store, manifest(), model(), ROWS[:1])

    assert len({sealed(store).digest, other_model.digest, other_rows.digest, sealed(store, dataset_version=2).digest}) == 4


def test_a_package_is_known_by_names_and_contents_of_its_files() -> None:
    files = {"a": b"1", "b": b"2"}

    assert package_digest(files) == package_digest(dict(reversed(files.items())))
    for other in ({"a": b"1"}, {**files, "c": b""}, {"a": b"2", "b": b"1"}, {"a": b"1", "c": b"2"}):
        assert package_digest(other) != package_digest(files)


@given(data=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_bit_of_any_file_is_refused(home: Home, data: st.DataObject) -> None:
    store = DocumentStore(home.lake)
    package = sealed(store)
    path = folder(home, package) / data.draw(st.sampled_from([MANIFEST, MODEL, SAMPLES]), label="file")
    whole = path.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1), label="byte")
    flipped = whole[position] ^ (1 << data.draw(st.integers(0, 7), label="bit"))
    path.write_bytes(whole[:position] + bytes([flipped]) + whole[position + 1 :])

    with pytest.raises(VerificationError, match=f"package {package.digest[:12]} does not verify: found bytes with digest"):
        open_package(store, USE_CASE, package.digest)


@pytest.mark.parametrize("name", [MANIFEST, MODEL, SAMPLES])
def test_a_missing_file_is_refused(home: Home, store: DocumentStore, name: str) -> None:
    package = sealed(store)
    (folder(home, package) / name).unlink()

    with pytest.raises(VerificationError):
        open_package(store, USE_CASE, package.digest)


def test_an_extra_file_is_refused(home: Home, store: DocumentStore) -> None:
    package = sealed(store)
    (folder(home, package) / "notes.txt").write_text("harmless")

    with pytest.raises(VerificationError):
        open_package(store, USE_CASE, package.digest)


def test_a_renamed_file_is_refused(home: Home, store: DocumentStore) -> None:
    package = sealed(store)
    (folder(home, package) / MODEL).rename(folder(home, package) / "model.bin")

    with pytest.raises(VerificationError):
        open_package(store, USE_CASE, package.digest)


def test_a_package_that_is_not_there_is_named(store: DocumentStore) -> None:
    with pytest.raises(NotFound, match=f"no package '{'f' * 64}'.* Expected it in the lake, in {USE_CASE}/packages"):
        open_package(store, USE_CASE, "f" * 64)


def test_a_model_of_another_use_case_is_refused(store: DocumentStore) -> None:
    digest = placed(store, sealed(store, use_case="another").files)

    with pytest.raises(VerificationError, match="a model of 'another', expected one of 'late_parcel'"):
        open_package(store, USE_CASE, digest)


@pytest.mark.parametrize("lacking", [MANIFEST, SAMPLES])
def test_files_that_are_no_package_are_refused_although_their_digest_holds(store: DocumentStore, lacking: str) -> None:
    digest = placed(store, {name: data for name, data in sealed(store).files.items() if name != lacking})

    with pytest.raises(VerificationError, match=f"expected also .*{lacking}"):
        open_package(store, USE_CASE, digest)


@pytest.mark.parametrize("name", [MANIFEST, SAMPLES])
def test_an_unreadable_document_is_refused_although_its_digest_holds(store: DocumentStore, name: str) -> None:
    digest = placed(store, {**sealed(store).files, name: b"{"})

    with pytest.raises(VerificationError, match="unreadable bytes"):
        open_package(store, USE_CASE, digest)


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_model_that_differs_from_a_sealed_sample_by_one_bit_is_not_loaded(store: DocumentStore, number: int) -> None:
    package = sealed(store)
    samples = msgspec.json.decode(package.files[SAMPLES])
    [score] = samples[number]["scores"]
    last = score.index("p") - 1
    samples[number]["scores"] = [score[:last] + ("0" if score[last] != "0" else "1") + score[last + 1 :]]
    digest = placed(store, {**package.files, SAMPLES: canonical(samples)})

    with pytest.raises(VerificationError, match="a sealed sample of package"):
        open_package(store, USE_CASE, digest).load()


def test_a_package_without_samples_cannot_be_sealed(store: DocumentStore) -> None:
    with pytest.raises(SettingError, match="at least one"):
        seal(store, manifest(), model(), [])


def test_what_a_crash_left_half_sealed_is_completed_by_sealing_again(home: Home, store: DocumentStore) -> None:
    package = sealed(store)
    (folder(home, package) / SAMPLES).unlink()

    assert sealed(store).digest == package.digest
    assert open_package(store, USE_CASE, package.digest).samples == package.samples


def test_where_an_engine_cannot_be_had_the_trained_models_own_answers_and_it_is_said(store: DocumentStore) -> None:
    digest = placed(store, {**sealed(store).files, MANIFEST: canonical(manifest(engine="onnx"))})

    loaded = open_package(store, USE_CASE, digest).load()

    assert loaded.engine.name == "catboost"
    assert loaded.engine.scores(ROWS) == sealed(store).load().engine.scores(ROWS)
    assert loaded.instead == (
        "catboost answers in the place of onnx: engine is 'onnx', expected one of ['catboost', 'lignum', 'linear', 'sklearn']"
    )


def test_a_model_whose_own_engine_is_unknown_is_not_loaded(store: DocumentStore) -> None:
    digest = placed(store, {**sealed(store).files, MANIFEST: canonical(manifest(engine="onnx", reference="onnx"))})

    with pytest.raises(SettingError, match=r"engine is 'onnx', expected one of \['catboost'"):
        open_package(store, USE_CASE, digest).load()
