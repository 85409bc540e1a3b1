"""Rows as columns, a sequence of values for each field: as tensors bring them, and as some engines take them.

No record is made of a row before somebody looks at it: who answers a batch by its columns never does, who logs it must.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# A list; or an array of numbers or flags, in which nothing is null.
Column = Union[list[Any], "npt.NDArray[np.generic]"]


class Columns:
    """Values by field, as many of each as there are rows."""

    def __init__(self, by_name: Mapping[str, Column], rows: int) -> None:
        self._by_name = by_name
        self._rows = rows

    @classmethod
    def of_rows(cls, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> "Columns":
        """Rows whose values stand in the order of the names; an array wherever a column can be one."""
        import numpy as np

        arrays = {float: np.float64, int: np.int64, bool: np.bool_}
        by_name: dict[str, Column] = {}
        for name, values in zip(names, zip(*rows, strict=True), strict=True):
            types = set(map(type, values))
            dtype = arrays.get(types.pop()) if len(types) == 1 else None
            by_name[name] = list(values) if dtype is None else np.array(values, dtype)
        return cls(by_name, len(rows))

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def values(self, name: str) -> list[Any]:
        """The values of a field as Python has them."""
        column = self._by_name[name]
        return column if isinstance(column, list) else column.tolist()

    def rows(self, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """For each row the values of these fields, in their order."""
        return list(zip(*map(self.values, names), strict=True))


class ColumnRecords(Sequence[Any]):
    """The records of columns, made when the first of them is looked at. `names` are in the order that `make` takes them in."""

    def __init__(self, columns: Columns, names: Sequence[str], make: Callable[..., Any]) -> None:
        self._columns = columns
        self._names = names
        self._make = make

    @cached_property
    def _made(self) -> list[Any]:
        return [self._make(*row) for row in self._columns.rows(self._names)]

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, index: Any) -> Any:
        return self._made[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._made)


class ArrayScores(Sequence[list[float]]):
    """The scores of rows in one array, one for each class or one alone. Lists are made of those that are looked at."""

    def __init__(self, scores: "npt.NDArray[np.float64]") -> None:
        self._scores = scores.reshape(len(scores), -1)

    def values(self) -> list[float]:
        """The scores of row after row."""
        return self._scores.ravel().tolist()

    def __len__(self) -> int:
        return len(self._scores)

    def __getitem__(self, index: Any) -> Any:
        return self._scores[index].tolist()

    def __iter__(self) -> Iterator[list[float]]:
        return iter(self._scores.tolist())
