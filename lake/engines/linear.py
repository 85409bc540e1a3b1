"""linear: linear models of scikit-learn on a sparse matrix, bit for bit and in microseconds, without their library.

A sparse product adds what the columns of a row weigh in their order, in doubles, and that is all that is done here. What a
category or a null adds is reckoned once, at the load; what a number adds, by the operations of the pipeline itself.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np

from lake.columns import Columns
from lake.documents import decoded
from lake.engines import Row, Untranslatable, sklearn
from lake.engines.links import link
from lake.engines.matrix import Matrix, numbers
from lake.engines.summands import LinearModel, StepName, Summand, linear_model

if TYPE_CHECKING:
    from lake.package import Manifest

NAME = "linear"
FILE = "linear.json"
_FEW_ROWS = 32  # more of them are summed column by column


def translate(model: object, manifest: "Manifest") -> dict[str, bytes]:
    """The summands of the model's sums. Raises Untranslatable."""
    if manifest.reference != sklearn.NAME:
        raise Untranslatable(f"it does not read models of {manifest.reference}")
    return {FILE: msgspec.json.encode(linear_model(model, manifest))}


def load(files: Mapping[str, bytes], manifest: "Manifest") -> "LinearEngine":
    """The engine from the very bytes that were verified."""
    return LinearEngine(decoded(files[FILE], f"the file {FILE}", LinearModel), manifest.features, manifest.categories)


class LinearEngine:
    """The sums of a linear model, and its link."""

    name = NAME

    def __init__(self, model: LinearModel, features: Sequence[str], categories: Mapping[str, Sequence[str]]) -> None:
        self._features = features
        self._sums = [
            _Sum(_parts(model.summands, number, features, categories), intercept)
            for number, intercept in enumerate(model.intercepts)
        ]
        self._link = link(model.link)

    def scores(self, rows: Sequence[Row]) -> list[list[float]]:
        """See `Engine.scores`."""
        if len(rows) > _FEW_ROWS:
            by_name = {name: list(values) for name, values in zip(self._features, zip(*rows, strict=True), strict=True)}
            return self.scores_of_columns(Columns(by_name, len(rows)))
        return self._scores([np.array([one.of_row(row) for row in rows]) for one in self._sums])

    def scores_of_columns(self, columns: Columns) -> list[list[float]]:
        """See `ColumnarEngine.scores_of_columns`."""
        with np.errstate(over="ignore", invalid="ignore"):  # as one row, which overflows without a word
            return self._scores([one.of_columns(columns) for one in self._sums])

    def _scores(self, sums: Sequence[Matrix]) -> list[list[float]]:
        return self._link(sums[0] if len(sums) == 1 else np.stack(sums, axis=1))


class _Part(Protocol):
    """What a feature adds to a sum."""

    position: int
    name: str
    of_value: Callable[[Any], float]

    def of_columns(self, columns: Columns) -> Matrix:
        """What `of_value` gives for each row."""
        ...


class _Sum:
    """One sum over a row."""

    def __init__(self, parts: Sequence[_Part], intercept: float) -> None:
        self._parts = parts
        self._of_values = [(part.position, part.of_value) for part in parts]
        self._intercept = intercept

    def of_row(self, row: Row) -> float:
        total = 0.0
        for position, of_value in self._of_values:
            total += of_value(row[position])
        return total + self._intercept

    def of_columns(self, columns: Columns) -> Matrix:
        total = np.zeros(len(columns))
        for part in self._parts:
            total += part.of_columns(columns)
        return total + self._intercept


def _parts(
    summands: Sequence[Summand], number: int, features: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> list[_Part]:
    """Those of the sum of this number, in the order of the summands."""
    made: list[_Part] = []
    for summand in summands:
        name, weight = features[summand.feature], summand.weights[number]
        if name not in categories:
            made.append(_Number(summand, name, weight))
            continue
        table = _Table.of(summand, weight, categories[name])
        last = made[-1] if made and isinstance(made[-1], _Category) else None
        if last is None or last.position != summand.feature or not last.table.takes_in(table):
            made.append(_Category(summand.feature, name, table))
    return made


class _Table(dict[str | None, float]):
    """A number for each category of a list, and one for null, which an unknown one is too."""

    @classmethod
    def of(cls, summand: Summand, weight: float, categories: Sequence[str]) -> "_Table":
        """What a summand adds."""
        codes = np.array([*range(len(categories)), np.nan])
        return cls(zip((*categories, None), (_done(codes, summand) * weight).tolist(), strict=True))

    def __missing__(self, _category: str | None) -> float:
        return self[None]

    def takes_in(self, other: "_Table") -> bool:
        """Have it add what the other does too, if there is never more than one to add: so each sum stays what it was."""
        if any(self[category] and other[category] for category in self):
            return False
        for category, number in other.items():
            self[category] += number
        return True


class _Category:
    """What a category adds."""

    def __init__(self, position: int, name: str, table: _Table) -> None:
        self.position, self.name = position, name
        self.table = table
        self.of_value = table.__getitem__

    def of_columns(self, columns: Columns) -> Matrix:
        return np.fromiter(map(self.of_value, columns.values(self.name)), np.float64, len(columns))


class _Number:
    """What a number adds."""

    def __init__(self, summand: Summand, name: str, weight: float) -> None:
        self.position, self.name = summand.feature, name
        self._summand, self._weight = summand, weight
        null, known = (_done(np.array([np.nan, 0.0]), summand) * weight).tolist()
        if any(step.name == "is_null" for step in summand.steps):
            self.of_value: Callable[[Any], float] = lambda value: null if value is None else known
        else:
            self.of_value = self._of_value(null)

    def _of_value(self, null: float) -> Callable[[Any], float]:
        weight = self._weight
        steps = [(_OPERATIONS[step.name], step.number) for step in self._summand.steps if step.name != "null_is"]

        def of_value(value: float | None) -> float:
            if value is None:
                return null
            number = float(value)
            for operation, other in steps:
                number = operation(number, other)
            return number * weight

        return of_value

    def of_columns(self, columns: Columns) -> Matrix:
        return np.asarray(_done(numbers(columns[self.name]), self._summand) * self._weight)


# Of one number and of an array of them alike; those that look for nulls, of an array.
_OPERATIONS: Mapping[StepName, Callable[[Any, float], Any]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "over": operator.truediv,
    "at_least": np.maximum,
    "at_most": np.minimum,
    "equals": operator.eq,
    "null_is": lambda given, other: np.where(np.isnan(given), other, given),
    "is_null": lambda given, _: np.isnan(given),
}


def _done(given: Matrix, summand: Summand) -> Any:
    """The numbers after each of the steps."""
    return reduce(lambda reached, step: _OPERATIONS[step.name](reached, step.number), summand.steps, given)
