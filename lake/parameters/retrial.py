"""Rules tried again on rows as they were logged: of their fields the log keeps most, and some hashed or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lake.input_schema import InputSchema
from lake.parameters.checked_rules import fields_of
from lake.parameters.compiled import Arrival, Rules
from lake.parameters.rules import Rule


class Retrial:
    """The rules of a document. `hidden` are the fields that they ask for and that no row of the log tells."""

    def __init__(self, rules: Sequence[Rule], schema: InputSchema) -> None:
        kept = {field.name for field in schema.fields if not field.sensitive}
        named = {name for rule in rules for name in fields_of(rule.when) if not name.startswith("@")}
        self.hidden = sorted(named - kept)
        self._names = schema.names
        self._rules = Rules(rules, schema)
        self._record: Any = msgspec.defstruct("Logged", [(name, Any, None) for name in schema.names], frozen=True, gc=False)

    def first(self, features: Mapping[str, Any], received_at_us: int) -> Rule | None:
        """The rule that fires for these logged fields, at the time of their arrival."""
        return self._rules.first(self._record(**{name: features.get(name) for name in self._names}), Arrival(received_at_us))
