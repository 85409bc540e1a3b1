"""Remedies: each result of a check that can fail names one, and the playbook names the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

import dagster as dg
import pytest

from checks.verdict import Remedy, Verdict
from lake.home import Home
from tests.parcel_training import Platform, multiclass_use_case, parcel_use_case
from tests.platform.test_playbook import sections
from trainserve_assets.alerts.evaluations import MADE
from trainserve_assets.alerts.playbook import section_of
from trainserve_assets.assets.window_checks import CLAIMS
from trainserve_assets.use_case import UseCase

ROOT = Path(__file__).parents[2]
REMEDIES = frozenset(get_args(Remedy))
_SAID = ("Verdict", "AssetCheckResult", "Statement")


class Said(NamedTuple):
    """One place in the code where a check says what it found: in which function, and with what."""

    where: str
    function: str
    fields: dict[str, ast.expr]

    @property
    def passes(self) -> bool:
        """Whether it can say nothing but yes."""
        return ast.unparse(self.fields["passed"]) == "True"

    @property
    def has_evidence(self) -> bool:
        return "observed" in self.fields or "check_name" in self.fields

    @property
    def remedies(self) -> set[str]:
        """Those that are spelled there."""
        spelled = [self.fields[name] for name in ("remedy", "metadata") if name in self.fields]
        texts = [node.value for one in spelled for node in ast.walk(one) if isinstance(node, ast.Constant)]
        return {text for text in texts if isinstance(text, str)} & REMEDIES

    @property
    def names_one(self) -> bool:
        return "remedy" in self.fields or "'remedy'" in ast.unparse(self.fields.get("metadata", ast.Constant(None)))


def said() -> Iterator[Said]:
    """All of them, in what decides and in what reports."""
    for path in sorted([*(ROOT / "checks").rglob("*.py"), *(ROOT / "trainserve_assets").rglob("*.py")]):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _SAID:
                        fields = {one.arg: one.value for one in node.keywords if one.arg}
                        yield Said(f"{path.relative_to(ROOT)}:{node.lineno}", function.name, fields)


def test_whatever_was_seen_to_be_wrong_has_a_remedy() -> None:
    places = [one for one in said() if "passed" in one.fields and not one.passes and one.has_evidence]

    assert len(places) > 25
    assert [one.where for one in places if not one.names_one] == []


def test_for_want_of_evidence_a_failure_asks_for_nothing_unless_it_says_otherwise() -> None:
    unknown = Verdict(passed=False, reason="too few to judge")
    broken = Verdict(passed=False, reason="the ledger does not verify", remedy="fix the source")

    assert (unknown.asks, broken.asks) == ("nothing", "fix the source")
    assert Verdict(passed=True, reason="all is well").asks is None


@pytest.mark.parametrize("use_case", [parcel_use_case(), multiclass_use_case()], ids=lambda one: one.source)
def test_the_playbook_names_the_remedies_of_each_check_and_those_that_it_spells(use_case: UseCase, home: Home) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        checks = Platform(home, instance, use_case).definitions.resolve_asset_graph().asset_check_keys
    gates = frozenset(gate.name for gate in use_case.release_standard)
    names = {key.name for key in checks} | {MADE}
    assert names > CLAIMS.keys()
    pages = sections()
    told = {name: _remedies(pages[section_of(name, gates)]) for name in names}
    spelled = [(one.function, one.remedies) for one in said() if one.function in names]
    assert len(spelled) > 20

    assert [name for name, remedies in told.items() if not remedies] == []
    assert [name for name, remedies in spelled if not remedies <= told[name]] == []


def _remedies(section: str) -> set[str]:
    """The remedies that stand out in what helps."""
    return set(re.findall(r"\*([a-z ]+)\*", section.partition("**Remedies.**")[2].replace("\n", " "))) & REMEDIES
