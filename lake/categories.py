"""Categories that nobody knows: a row with one is answered, and the answer says so."""

from collections.abc import Collection, Iterable, Mapping, Sequence
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
        return self._unknown(list(map(read, records)) for _, read, _ in self._known)

    def unknown_in(self, columns: Columns) -> Unknown:
        """The same of rows in columns."""
        return self._unknown(columns.values(name) for name, _, _ in self._known)

    def _unknown(self, of_each: Iterable[list[str | None]]) -> Unknown:
        found: dict[int, list[str]] = {}
        for (name, _, known), values in zip(self._known, of_each, strict=True):
            if not known.issuperset(values):
                for row, value in enumerate(values):
                    if value not in known:
                        found.setdefault(row, []).append(name)
        return found
