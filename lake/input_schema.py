"""The input schema of a use case: what a row is, independent of any one model. It only grows.

A model uses some of the fields; the others name the row (its entity and its time). Each published schema is a file of
its own in the lake, `<use_case>/input_schemas/<number>.json`, and the newest holds, so that proxy and shipper know a row
without knowing a model.
"""

import keyword
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from lake.documents import DocumentReader, DocumentStore, StrictDocument, canonical, decoded
from lake.errors import NotFound, SettingError

FieldType = Literal["category", "integer", "number", "boolean", "timestamp"]
Task = Literal["binary", "multiclass", "regression"]

INT64_MINIMUM, INT64_MAXIMUM = -(2**63), 2**63 - 1
MAXIMUM_TEXT = 256
"""Characters of the longest text that a field may have."""
MOST_EVENT_DAYS = 36_500

# Columns that stand beside the fields in the tables of a use case.
RESERVED = ("label", "labelled_at_utc", "package_digest", "request_id", "row", "split")


class Field(StrictDocument, frozen=True, kw_only=True):
    """One field of a row.

    `minimum` and `maximum` are inclusive. `categories` empty means that any text is a category. An unknown category
    is answered and flagged, or refused. `sensitive` marks what the log may not keep in the clear: a keyed hash stands in
    its place (`hash`, or true), or nothing does (`omit`).
    """

    name: str
    type: FieldType
    unit: str = ""
    description: str = ""
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    unknown_category: Literal["flag", "refuse"] = "flag"
    sensitive: bool | Literal["hash", "omit"] = False
    example: Any = None

    def __post_init__(self) -> None:
        where = f"field {self.name!r}"
        if not self.name.isidentifier() or keyword.iskeyword(self.name) or self.name.startswith("_"):
            raise SettingError(f"{where}, name", self.name, "letters, digits and underscores, a letter first, no keyword")
        if self.name in RESERVED:
            raise SettingError(f"{where}, name", self.name, f"a name that no table has of its own, as {', '.join(RESERVED)}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise SettingError(f"{where}, range", (self.minimum, self.maximum), "a minimum that is not above the maximum")
        if self.unknown_category == "refuse" and not self.categories:
            raise SettingError(f"{where}, categories", self.categories, "at least one, since any other is refused")

    @property
    def is_hashed(self) -> bool:
        """Whether a keyed hash stands for its values where they are kept."""
        return self.sensitive in (True, "hash")

    def as_kept(self) -> "Field":
        """The field as tables keep it: itself, or the text of its hash."""
        if not self.is_hashed:
            return self
        return Field(name=self.name, type="category", description=f"{self.description} (hashed)".strip(), nullable=self.nullable)

    @property
    def takes_any_text(self) -> bool:
        """Whether each text of at most `MAXIMUM_TEXT` characters is a value of it."""
        return self.type == "category" and not (self.categories and self.unknown_category == "refuse")

    def python_type(self) -> Any:
        """The msgspec type that accepts exactly the values of this field."""
        accepted: Any
        match self.type:
            case "category" if not self.takes_any_text:
                accepted = Literal[self.categories]
            case "category":
                accepted = Annotated[str, msgspec.Meta(max_length=MAXIMUM_TEXT)]
            case "boolean":
                accepted = bool
            case "timestamp":
                accepted = Annotated[datetime, msgspec.Meta(tz=True)]
            case "integer":
                low = INT64_MINIMUM if self.minimum is None else math.ceil(self.minimum)
                high = INT64_MAXIMUM if self.maximum is None else math.floor(self.maximum)
                accepted = Annotated[int, msgspec.Meta(ge=low, le=high)]
            case "number":
                limits: dict[str, Any] = {"ge": self.minimum, "le": self.maximum}
                accepted = Annotated[float, msgspec.Meta(**{key: limit for key, limit in limits.items() if limit is not None})]
        return accepted | None if self.nullable else accepted

    def expectation(self) -> str:
        """In words, what a value of this field must be."""
        match self.type:
            case "category" if not self.takes_any_text:
                words = "one of " + ", ".join(repr(category) for category in self.categories)
            case "category":
                words = f"text of at most {MAXIMUM_TEXT} characters"
            case "boolean":
                words = "true or false"
            case "timestamp":
                words = "a time with its offset, as 2013-07-01T09:30:00Z"
            case _:
                words = "an integer" if self.type == "integer" else "a number"
                if self.minimum is not None or self.maximum is not None:
                    low = "-inf" if self.minimum is None else f"{self.minimum:g}"
                    high = "inf" if self.maximum is None else f"{self.maximum:g}"
                    words += f" within [{low}, {high}]"
        unit = f" ({self.unit})" if self.unit else ""
        return f"{words}{unit}" + (", or null" if self.nullable else "")


class InputSchema(StrictDocument, frozen=True, kw_only=True):
    """All fields that a row of a use case may have.

    `event_time` names the timestamp field that says when the row happened; `entity_key` names the fields that, with
    it, say which thing the row is about. A row is filed under the day of its event time, if that is at most
    `event_days_before` before its arrival and `event_days_after` behind it, else under the day of its arrival: a client
    with a wrong clock makes no table of a thousand years. `version` rises with each change.
    """

    use_case: str
    task: Task
    label: str
    fields: tuple[Field, ...]
    event_time: str | None = None
    entity_key: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    event_days_before: int = 400
    event_days_after: int = 400
    version: int = 1
    format_version: int = 1

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        where = f"input schema of {self.use_case!r}"
        for name in names:
            if names.count(name) > 1:
                raise SettingError(f"{where}, field name", name, "each name once")
        for name in self.entity_key:
            if name not in names:
                raise SettingError(f"{where}, entity_key", name, f"one of the fields {names}")
            if self.field(name).type == "timestamp":
                raise SettingError(f"{where}, entity_key", name, "a field that is not a timestamp: the time is event_time")
        if self.event_time is not None and (self.event_time not in names or self.field(self.event_time).type != "timestamp"):
            raise SettingError(f"{where}, event_time", self.event_time, "the name of a field of type timestamp")
        for name, days in (("event_days_before", self.event_days_before), ("event_days_after", self.event_days_after)):
            if not 0 <= days <= MOST_EVENT_DAYS:
                raise SettingError(f"{where}, {name}", days, f"a number of days from 0 to {MOST_EVENT_DAYS:,}")
        self._check_sensitive(where)

    def _check_sensitive(self, where: str) -> None:
        for field in self.fields:
            if field.name == self.event_time and field.sensitive:
                expected = "false: rows are filed under their event time"
                raise SettingError(f"{where}, sensitive of {field.name!r}", field.sensitive, expected)
            if field.name in self.entity_key and field.sensitive == "omit":
                expected = "hash: it says which rows are about one entity"
                raise SettingError(f"{where}, sensitive of {field.name!r}", field.sensitive, expected)

    def field(self, name: str) -> Field:
        """The field of this name. Raises NotFound."""
        for field in self.fields:
            if field.name == name:
                return field
        raise NotFound("field", name, f"The input schema of {self.use_case!r} has {[field.name for field in self.fields]}.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields, in their order."""
        return tuple(field.name for field in self.fields)

    def kept(self, clear: Collection[str] = ()) -> "InputSchema":
        """The schema of rows as tables keep them: of sensitive fields the hash or nothing, but for those in `clear`."""
        return msgspec.structs.replace(
            self,
            fields=tuple(
                field if field.name in clear else field.as_kept()
                for field in self.fields
                if field.name in clear or field.sensitive != "omit"
            ),
        )

    def entity_reader(self) -> Callable[[Any], str | None]:
        """A function that spells the entity of a record, or gives None where the use case names none."""
        names = self.entity_key
        if not names:
            return lambda _record: None
        read, spell = attrgetter(*names), self.spell_entity
        return (lambda record: spell((read(record),))) if len(names) == 1 else lambda record: spell(read(record))

    @staticmethod
    def spell_entity(values: Iterable[object]) -> str:
        """The values of the entity's key, in its order, as one text."""
        return "\x1f".join(map(str, values))


def publish_input_schema(store: DocumentStore, schema: InputSchema) -> None:
    """Store the schema for proxy and shipper, as the next one after the newest. Safe to run twice.

    Raises SettingError, naming all that is wrong, when it is not a growth of the newest or its version has not risen, and
    Conflict when another one was published meanwhile; then nothing was stored.
    """
    names = store.names(_folder(schema.use_case))
    current = _newest(store, schema.use_case, names)
    if current == schema:
        return
    if current is not None:
        _check_growth(current, schema)
    number = _number(names[-1]) + 1 if names else 1
    store.put_new(f"{_folder(schema.use_case)}/{number:08}.json", canonical(schema))


def _check_growth(old: InputSchema, new: InputSchema) -> None:
    """Refuse what logged rows, or clients that know the old schema, would not fit. Raises SettingError."""
    problems = [
        f"{name} is {getattr(new, name)!r}, was {getattr(old, name)!r}"
        for name in ("task", "event_time", "entity_key")
        if getattr(new, name) != getattr(old, name)
    ]
    if new.classes[: len(old.classes)] != old.classes:
        problems.append(f"classes are {new.classes}, which do not begin with {old.classes}")
    known = {field.name: field for field in old.fields}
    grown = {field.name: field for field in new.fields}
    problems += [f"field {name!r} is missing" for name in known if name not in grown]
    for name, field in grown.items():
        before = known.get(name)
        if before is None:
            if not field.nullable:
                problems.append(f"field {name!r} is new and not nullable")
            continue
        problems += _changes_of(before, field)
    if problems:
        expected = "what only grows it, since logged rows have the old fields: add a new, nullable field instead"
        raise SettingError(f"a change to the input schema of {new.use_case!r}", problems, expected)
    if new.version <= old.version:
        expected = f"more than {old.version}, the published one's, since something else in it differs"
        raise SettingError(f"the version of the input schema of {new.use_case!r}", new.version, expected)


def _changes_of(before: Field, field: Field) -> Iterator[str]:
    """What of a field has changed that may not."""
    if field.type != before.type:
        yield f"field {field.name!r} is of type {field.type}, was {before.type}"
    elif field.is_hashed != before.is_hashed and field.type != "category":
        yield f"field {field.name!r} is sensitive: {field.sensitive!r}, was {before.sensitive!r}, and a hash is another type"
    if before.unit and field.unit != before.unit:
        yield f"field {field.name!r} is in {field.unit or 'no unit'}, was in {before.unit}"
    if before.nullable and not field.nullable:
        yield f"field {field.name!r} is not nullable, was"


def find_input_schema(store: DocumentReader, use_case: str) -> InputSchema | None:
    """The newest published schema, or None before the first dataset."""
    return _newest(store, use_case, store.names(_folder(use_case)))


def read_input_schema(store: DocumentReader, use_case: str) -> InputSchema:
    """The newest published schema. Raises NotFound, saying that the dataset publishes it."""
    schema = find_input_schema(store, use_case)
    if schema is None:
        raise NotFound("use case", use_case, f"Materialize {use_case}/dataset in Dagster first: it publishes the input schema.")
    return schema


def _newest(store: DocumentReader, use_case: str, names: list[str]) -> InputSchema | None:
    if not names:
        return None
    return decoded(store.get(f"{_folder(use_case)}/{names[-1]}"), f"the input schema of {use_case!r}", InputSchema)


def _folder(use_case: str) -> str:
    return f"{use_case}/input_schemas"


def _number(name: str) -> int:
    return int(name.removesuffix(".json"))
