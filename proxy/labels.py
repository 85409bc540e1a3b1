"""Labels as clients deliver them: decoded, checked, and written to the same durable log as the predictions."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from lake.decoder import epoch_us
from lake.errors import InvalidInput, Problem
from lake.home import now_us
from lake.input_schema import InputSchema
from lake.log.records import LabelRecord, encode_record, key_hash

MAXIMUM_LABELS = 10_000


class Label(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The truth about one prediction: named by `request_id` and `row`, or by `entity` and `event_time`.

    `label` is 0 or 1 (binary), a number (regression) or a class's name (multiclass).
    """

    label: float | str
    request_id: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    row: Annotated[int, msgspec.Meta(ge=0)] = 0
    entity: dict[str, Any] | None = None
    event_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class LabelBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /models/{name}/labels`."""

    labels: Annotated[list[Label], msgspec.Meta(min_length=1, max_length=MAXIMUM_LABELS)]


class LabelsAccepted(msgspec.Struct, frozen=True):
    """How many labels are on disk."""

    accepted: int


def label_records(batch: LabelBatch, schema: InputSchema, client_id: str | None) -> list[bytes]:
    """The labels of a request, encoded for the spool. Raises InvalidInput with every problem."""
    problems = [problem for index, label in enumerate(batch.labels) for problem in _problems(f"labels[{index}]", label, schema)]
    if problems:
        raise InvalidInput(problems)
    received_at_us = now_us()
    return [encode_record(_record(label, schema, client_id, received_at_us)) for label in batch.labels]


def _problems(path: str, label: Label, schema: InputSchema) -> list[Problem]:
    problems = []
    if (label.request_id is None) == (label.entity is None):
        found = "neither" if label.request_id is None else "both"
        problems.append(Problem(path=path, found=found, expected="either request_id or entity"))
    if label.entity is not None:
        if set(label.entity) != set(schema.entity_key):
            problems.append(
                Problem(path=f"{path}.entity", found=str(sorted(label.entity)), expected=str(sorted(schema.entity_key)))
            )
        if label.event_time is None:
            problems.append(Problem(path=f"{path}.event_time", found="nothing", expected="the time of the entity's event"))
    if not _fits(label.label, schema):
        expected = {"binary": "0 or 1", "regression": "a number", "multiclass": f"one of {list(schema.classes)}"}[schema.task]
        problems.append(Problem(path=f"{path}.label", found=repr(label.label), expected=expected))
    return problems


def _fits(label: float | str, schema: InputSchema) -> bool:
    if schema.task == "multiclass":
        return label in schema.classes
    return label in (0, 1) if schema.task == "binary" else not isinstance(label, str)


def _record(label: Label, schema: InputSchema, client_id: str | None, received_at_us: int) -> LabelRecord:
    entity = label.entity
    return LabelRecord(
        use_case=schema.use_case,
        request_id=label.request_id,
        row=None if label.request_id is None else label.row,
        entity_key_hash=None if entity is None else key_hash(schema.spell_entity(entity[name] for name in schema.entity_key)),
        event_time_us=None if label.event_time is None else epoch_us(label.event_time),
        label=label.label,
        observed_at_us=None if label.observed_at is None else epoch_us(label.observed_at),
        received_at_us=received_at_us,
        client_id=client_id,
    )
