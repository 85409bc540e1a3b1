"""The dataset versions that must stay: those that decisions of the ledger rest on, or that one may rest on tomorrow."""

from lake.documents import DocumentStore, decoded
from lake.errors import NotFound
from lake.evaluation import read_evaluation
from lake.package import MANIFEST, Manifest
from trainserve_assets.resources import LakeResource
from trainserve_assets.training import read_note
from trainserve_assets.use_case import UseCase


def cited_dataset_versions(lake: LakeResource, use_case: UseCase) -> frozenset[int]:
    """The versions named by the package and the evaluation of each decision, and by the newest package of each candidate.

    Raises VerificationError when the ledger does not hold, and NotFound when it cites what the lake does not have: then
    nobody can say which versions are cited.
    """
    store = lake.store
    decisions = [entry.decision for entry in lake.ledger(use_case.name).entries]
    evaluations = [read_evaluation(lake.home.lake, use_case.name, one) for one in {one.evaluation_id for one in decisions}]
    packages = {decision.package_digest for decision in decisions} | _undecided(store, use_case)
    return frozenset(one.dataset_version for one in evaluations) | {_version(store, use_case, one) for one in packages}


def _undecided(store: DocumentStore, use_case: UseCase) -> set[str]:
    """The packages that somebody may be about to decide on."""
    found = set()
    for candidate in use_case.candidates:
        try:
            found.add(read_note(store, use_case.name, candidate.name).package_digest)
        except NotFound:
            continue  # not trained yet
    return found


def _version(store: DocumentStore, use_case: UseCase, package_digest: str) -> int:
    manifest = store.get(f"{use_case.name}/packages/{package_digest}/{MANIFEST}")
    return decoded(manifest, f"the manifest of package {package_digest[:12]}", Manifest).dataset_version
