"""The playbook: every check that a use case has, has its section there, and so has every link to one."""

import re
from pathlib import Path

import dagster as dg
import pytest

from lake.home import Home
from tests.parcel_training import Platform, multiclass_use_case, parcel_use_case, regression_use_case
from trainserve_assets.alerts.playbook import section_of
from trainserve_assets.use_case import UseCase

DOCS = Path(__file__).parents[2] / "docs"
_HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_PARTS = ("**Means.**", "**First look.**", "**Remedies.**")


def sections() -> dict[str, str]:
    """The text of each section, by its anchor."""
    heading, *rest = _HEADING.split((DOCS / "playbook.md").read_text())
    assert heading.startswith("# Playbook")
    return {anchor(title): text for title, text in zip(rest[::2], rest[1::2], strict=True)}


def anchor(title: str) -> str:
    """What a page makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "use_case", [parcel_use_case(), regression_use_case(), multiclass_use_case()], ids=lambda one: one.source
)
def test_every_check_has_its_section_with_what_it_means_where_to_look_and_what_helps(use_case: UseCase, home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        checks = Platform(home, instance, use_case).definitions.resolve_asset_graph().asset_check_keys
    gates = frozenset(gate.name for gate in use_case.release_standard)
    assert len(checks) > len(gates) + 10

    found = sections()

    lacking = sorted(key.to_user_string() for key in checks if section_of(key.name, gates) not in found)
    assert lacking == []
    half = [key.name for key in checks if not all(part in found[section_of(key.name, gates)] for part in _PARTS)]
    assert half == []


def test_every_link_to_the_playbook_leads_to_a_section() -> None:
    found = sections()
    links = [
        link
        for page in DOCS.glob("*.md")
        for link in re.findall(r"\(playbook\.md#([\w-]+)\)" if page.name != "playbook.md" else r"\(#([\w-]+)\)", page.read_text())
    ]
    assert len(links) >= 4
    assert [link for link in links if link not in found] == []
