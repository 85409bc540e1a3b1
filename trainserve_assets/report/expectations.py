"""The page of expectations: what Great Expectations made of the newest version of a table, as one HTML file that loads nothing.

Great Expectations' own Data Docs fetch scripts and pictures from elsewhere, so its results are shown here. The page stands in
the lake, `<use case>/expectations/<table>.html`, and is replaced each time that the table is checked.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec

from checks.verdict import Verdict
from lake.documents import DocumentStore
from lake.errors import NotFound
from trainserve_assets.report.templating import html_template

_FOLDER = "expectations"
_USE_CASE = re.compile(r"[A-Za-z0-9_]{1,100}")
_PAGE = re.compile(r"[a-z_]{1,100}\.html")


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a table as it was checked: by claim, its words and the verdict on each expectation."""

    use_case: str
    table: str
    at_utc: str
    delta_version: int | None
    rows: int
    claims: Mapping[str, tuple[str, Sequence[Verdict]]]

    @property
    def failed(self) -> int:
        """How many expectations do not hold."""
        return sum(not verdict.passed for _, verdicts in self.claims.values() for verdict in verdicts)

    @property
    def expectations(self) -> int:
        """How many there are."""
        return sum(len(verdicts) for _, verdicts in self.claims.values())


def expectations_page(checked: Checked) -> str:
    """The page as HTML: what does not hold stands first."""
    claims = [
        {
            "name": name,
            "words": words,
            "passed": bool(verdicts) and all(verdict.passed for verdict in verdicts),
            "rows": [_row(verdict) for verdict in sorted(verdicts, key=lambda verdict: verdict.passed)],
        }
        for name, (words, verdicts) in checked.claims.items()
    ]
    return html_template("expectations.html.j2").render(
        checked=checked, claims=sorted(claims, key=lambda one: bool(one["passed"]))
    )


def write_expectations(store: DocumentStore, checked: Checked) -> str:
    """Replace the page of this table; returns where it stands in the lake. Safe to run twice."""
    path = f"{checked.use_case}/{_FOLDER}/{checked.table}.html"
    store.put(path, expectations_page(checked).encode())
    return path


def read_expectations(store: DocumentStore, use_case: str, name: str) -> bytes:
    """The page of this name. Raises NotFound, also for what cannot be such names."""
    if _USE_CASE.fullmatch(use_case) is None or _PAGE.fullmatch(name) is None:
        raise NotFound("page of expectations", f"{use_case}/{name}", "It is named by its use case and its table.")
    return store.get(f"{use_case}/{_FOLDER}/{name}")


def pages_of(store: DocumentStore, use_case: str) -> list[str]:
    """The paths of the pages of a use case, below the lake."""
    return [f"{use_case}/{_FOLDER}/{name}" for name in store.names(f"{use_case}/{_FOLDER}") if _PAGE.fullmatch(name)]


def _row(verdict: Verdict) -> dict[str, object]:
    """One expectation in three parts, as its reason says them: what was measured, what was found, what was expected."""
    measured, _, rest = verdict.reason.partition(": is ")
    found, _, expected = rest.partition(", expected ")
    return {"measured": measured, "found": found, "expected": expected, "passed": verdict.passed}
