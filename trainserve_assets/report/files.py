"""The three files of an evaluation, beside it in the lake: `<use_case>/evaluations/<evaluation_id>/`.

`evaluation.json` is the document's own bytes, so that its SHA-256 is the evaluation's name; page and card are drawn
from it, and no decision rests on them.
"""

import re
from collections.abc import Mapping

from lake.documents import Document, DocumentStore, canonical, decoded, sha256
from lake.errors import NotFound, VerificationError
from trainserve_assets.report.card import model_card
from trainserve_assets.report.exhibit import Exhibit
from trainserve_assets.report.looks import with_looks
from trainserve_assets.report.page import report_page

REPORT, CARD, DOCUMENT = "report.html", "model_card.md", "evaluation.json"
CONTENT_TYPES: Mapping[str, str] = {
    REPORT: "text/html; charset=utf-8",
    CARD: "text/markdown; charset=utf-8",
    DOCUMENT: "application/json",
}
_FOLDER = "evaluations"
_USE_CASE = re.compile(r"[A-Za-z0-9_]{1,100}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Judged(Document, frozen=True, kw_only=True):
    """The part of an evaluation that says of what it is."""

    package_digest: str


def folder_of(use_case: str, evaluation_id: str) -> str:
    """Where the files of an evaluation stand, relative to the lake. Raises NotFound for what cannot be such names."""
    if _USE_CASE.fullmatch(use_case) is None or _DIGEST.fullmatch(evaluation_id) is None:
        raise NotFound("evaluation", f"{use_case}/{evaluation_id}", "It is named by its use case and its digest.")
    return f"{use_case}/{_FOLDER}/{evaluation_id}"


def write_files(store: DocumentStore, exhibit: Exhibit) -> str:
    """Draw and store the files, the document last; returns the model card. Safe to run twice: the same files again.

    A page drawn later replaces the earlier one: its figures are the same, but the other candidates that stand beside
    this one may have changed.
    """
    folder = folder_of(exhibit.use_case.name, exhibit.evaluation.evaluation_id)
    card = model_card(exhibit)
    evaluation = exhibit.evaluation
    page = with_looks(report_page(exhibit), store.root, evaluation.use_case, evaluation.package_digest)
    store.put(f"{folder}/{REPORT}", page.encode())
    store.put(f"{folder}/{CARD}", card.encode())
    store.put(f"{folder}/{DOCUMENT}", canonical(exhibit.evaluation))
    return card


def read_file(store: DocumentStore, use_case: str, evaluation_id: str, name: str) -> bytes:
    """One of the files. Raises NotFound, and VerificationError for a document that is not the one it is named for."""
    folder = folder_of(use_case, evaluation_id)
    if name not in CONTENT_TYPES:
        raise NotFound("file", name, f"There are {', '.join(CONTENT_TYPES)}.")
    data = store.get(f"{folder}/{name}")
    if name == DOCUMENT and sha256(data) != evaluation_id:
        raise VerificationError(f"evaluation {evaluation_id[:12]}", f"bytes with digest {sha256(data)}", evaluation_id)
    return data


def read_page(store: DocumentStore, use_case: str, evaluation_id: str) -> bytes:
    """The page, with what its experiment has come to meanwhile. Raises NotFound, VerificationError."""
    page = read_file(store, use_case, evaluation_id, REPORT)
    document = read_file(store, use_case, evaluation_id, DOCUMENT)
    package = decoded(document, f"evaluation {evaluation_id[:12]}", _Judged).package_digest
    return with_looks(page.decode(), store.root, use_case, package).encode()


def stored(store: DocumentStore, use_case: str) -> set[str]:
    """The evaluations of a use case that have files."""
    return set(store.folders(f"{use_case}/{_FOLDER}"))
