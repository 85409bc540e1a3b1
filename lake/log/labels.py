"""Labels as they are delivered, over HTTP or in a drop: what they may say, and the records that they become."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec

from lake.decoder import epoch_us
from lake.errors import Problem
from lake.explanation import is_kept, shown
from lake.input_schema import INT64_MAXIMUM, InputSchema
from lake.log.entity import EntityReader
from lake.log.privacy import Redactor
from lake.log.records import LabelRecord

KEPT_TIMES = "a time that UTC has a year for, from 1 to 9999"


class Label(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about one prediction: named by `request_id` and `row`, or by `entity` and `event_time`.

    `label` is 0 or 1 (binary), a number (regression) or a class's name (multiclass). `observed_at` says when the truth was
    observed: the same observation delivered again is one label, and an older one undoes no newer.
    """

    label: float | str
    request_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    row: Annotated[int, msgspec.Meta(ge=0, le=INT64_MAXIMUM)] = 0
    entity: dict[str, Any] | None = None
    event_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class LabelReader:
    """Checks the labels of one use case, and makes them records."""

    def __init__(self, redactor: Redactor) -> None:
        self._schema = redactor.schema
        self._redactor = redactor
        self._entities = EntityReader(redactor.schema)

    def problems(self, path: str, label: Label, alone: str = "body") -> Iterator[Problem]:
        """What is wrong with a label; `path` says where it stands; empty: it is all there is, which is then so called."""
        below = f"{path}." if path else ""
        if (label.request_id is None) == (label.entity is None):
            found = "neither" if label.request_id is None else "both"
            yield Problem(path=path or alone, found=found, expected="either request_id or entity")
        if label.entity is not None:
            yield from self._entities.problems(f"{below}entity", label.entity)
            if self._schema.event_time is None:
                expected = "request_id: a row of this use case has no time of its own by which an entity could name it"
                yield Problem(path=f"{below}entity", found="an entity", expected=expected)
            elif label.event_time is None:
                yield Problem(path=f"{below}event_time", found="nothing", expected="the time of the entity's event")
        for member, time in (("event_time", label.event_time), ("observed_at", label.observed_at)):
            if not is_kept(time):
                yield Problem(path=f"{below}{member}", found=shown(time), expected=KEPT_TIMES)
        if not _fits(label.label, self._schema):
            yield Problem(path=f"{below}label", found=repr(label.label), expected=_expected(self._schema))

    def record(self, label: Label, client_id: str | None, received_at_us: int) -> LabelRecord:
        """The record of a label that has no problems."""
        by_request = label.request_id is not None
        return LabelRecord(
            use_case=self._schema.use_case,
            request_id=label.request_id,
            row=label.row if by_request else None,
            entity_key_hash=None if label.entity is None else self._redactor.entity_hash(self._entities.read(label.entity)),
            event_time_us=None if by_request or label.event_time is None else epoch_us(label.event_time),
            label=label.label,
            observed_at_us=None if label.observed_at is None else epoch_us(label.observed_at),
            received_at_us=received_at_us,
            client_id=client_id,
        )


def _fits(label: float | str, schema: InputSchema) -> bool:
    match schema.task:
        case "multiclass":
            return label in schema.classes
        case "binary":
            return label in (0, 1)
        case "regression":
            return isinstance(label, int | float) and math.isfinite(label)


def _expected(schema: InputSchema) -> str:
    return {"binary": "0 or 1", "regression": "a number", "multiclass": f"one of {list(schema.classes)}"}[schema.task]
