"""The rows of a drop as labels: those that hold, and those that do not, with every reason."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import msgspec
import polars as pl

from lake.errors import Problem
from lake.log.drops import AGAIN, CONTRADICTED, MEMBERS, ROW
from lake.log.labels import KEPT_TIMES, Label, LabelReader
from lake.misread import wanted

_LONGEST_SHOWN = 80
_OTHERWISE = Problem(
    path="label",
    found="another one in a row of this drop with the same name and observed_at",
    expected="one; a correction has an observed_at of its own",
)
_TIMES = ("event_time", "observed_at")
_FIRST, _LAST = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Label)}


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that is no label: its number in the drop, all that is wrong with it, and what it says of anything but the entity."""

    number: int
    problems: tuple[Problem, ...]
    content: dict[str, Any]

    def words(self, *, with_values: bool) -> str:
        """All that is wrong, in one text; without the values of an entity, nor any where the use case has sensitive ones."""
        return "; ".join(
            str(one) if with_values and not one.path.startswith("entity.") else f"{one.path}: expected {one.expected}"
            for one in self.problems
        )


class SiftedRows(msgspec.Struct, frozen=True):
    """Rows of a drop: labels that hold, how many rows say only what another says, and those that were rejected."""

    labels: list[Label]
    repeated: int
    rejected: list[RejectedRow]


def sifted(batch: pl.DataFrame, reader: LabelReader) -> SiftedRows:
    """What these rows of a drop are, by the rules that hold over HTTP."""
    repeated = batch[AGAIN] & ~batch[CONTRADICTED]
    rows = batch.filter(~repeated)
    labels: list[Label] = []
    rejected: list[RejectedRow] = []
    kept = pl.col(_TIMES).is_between(_FIRST, _LAST)
    beyond = rows.select(~kept).iter_rows(named=True)
    members = rows.with_columns(pl.when(kept).then(pl.col(_TIMES))).select(MEMBERS).iter_rows(named=True)
    for number, contradicted, lost, content in zip(rows[ROW], rows[CONTRADICTED], beyond, members, strict=True):
        try:
            label = msgspec.convert(content, Label)
            problems = list(reader.problems("", label, "the row"))
        except msgspec.ValidationError:
            problems = list(_member_problems(content, reader))
        if any(lost.values()):  # Python has no such time, so the row was read without it
            problems = [one for one in problems if not lost.get(one.path)]
            problems += [Problem(path=name, found="a time beyond", expected=KEPT_TIMES) for name in _TIMES if lost[name]]
        if contradicted:
            problems.append(_OTHERWISE)
        if problems:
            rejected.append(RejectedRow(number, tuple(problems), _kept(content)))
        else:
            labels.append(label)
    return SiftedRows(labels, int(repeated.sum()), rejected)


def reasons(rejected: Iterable[RejectedRow]) -> Iterator[str]:
    """Each thing that was wrong, without what was found: so that it can be counted."""
    for row in rejected:
        for problem in row.problems:
            yield f"{problem.path}: expected {problem.expected}"


def _member_problems(content: Mapping[str, Any], reader: LabelReader) -> Iterator[Problem]:
    """What is wrong with a row of which a member alone is, and with the rest of it."""
    for name in ("request_id", "row"):
        try:
            msgspec.convert(content[name], _TYPES[name])
        except msgspec.ValidationError as error:
            yield Problem(path=name, found=_shown(content[name]), expected=wanted(error))
    yield from reader.problems("", Label(**content), "the row")


def _kept(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None and name != "entity"}


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
