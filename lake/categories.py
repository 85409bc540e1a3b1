"""Categories that nobody knows: a row with one is answered, and the answer says so."""

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any

from lake.columns import Columns
from lake.input_schema import InputSchema

# The fields of a row whose category is not known, by the position of the row; rows without one are left out.
Unknown = Mapping[int, Sequence[str]]


class KnownCategories:
    """What is known of the categories of a model's rows: those that the input schema lists for a field.

    For a field that it lists none for, of which the model makes use, those that the model was trained on.
    """

    def __init__(self, schema: InputSchema, trained_on: Mapping[str, Collection[str]]) -> None:
        self._known = [
            (field.name, attrgetter(field.name), frozenset((None, *known)))
            for field in schema.fields
            if field.type == "category" and field.unknown_category == "flag"
            if (known := field.categories or trained_on.get(field.name, ()))
        ]

    def unknown(self, records: Sequence[Any]) -> Unknown:
        """The fields of these rows whose category is not known."""
        found: dict[int, list[str]] = {}
        for name, read, known in self._known:
            _find(name, list(map(read, records)), known, found)
        return found

    def unknown_in(self, columns: Columns) -> Unknown:
        """The same of rows in columns."""
        found: dict[int, list[str]] = {}
        for name, _, known in self._known:
            _find(name, columns.values(name), known, found)
        return found


def _find(name: str, values: Sequence[str | None], known: frozenset[str | None], found: dict[int, list[str]]) -> None:
    if not known.issuperset(values):
        for row, value in enumerate(values):
            if value not in known:
                found.setdefault(row, []).append(name)
