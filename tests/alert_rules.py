"""The alerts for Prometheus, as it reads them."""

import re
from pathlib import Path

import msgspec

_FOLDER = Path(__file__).parents[1] / "deploy" / "prometheus"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One alert."""

    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    hold: str = msgspec.field(name="for", default="0s")

    @property
    def metrics(self) -> set[str]:
        """The names of the platform's metrics that it goes by."""
        return set(re.findall(r"\btrainserve_\w+", self.expr))


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    rules: list[Rule]


class _Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    groups: list[_Group]


def alert_rules(file: str) -> list[Rule]:
    """The alerts of a file in `deploy/prometheus/`, named without its ending."""
    document = msgspec.yaml.decode((_FOLDER / f"{file}.yaml").read_bytes(), type=_Rules)
    return [rule for group in document.groups for rule in group.rules]
