"""An entity as a person or a client names it: the values of its key, checked as those of a row are."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from lake.errors import InvalidInput, Problem, SettingError
from lake.input_schema import InputSchema
from lake.log.privacy import Privacy


class EntityReader:
    """Reads the entities of one use case."""

    def __init__(self, schema: InputSchema) -> None:
        self._fields = [schema.field(name) for name in schema.entity_key]
        self._type: Any = msgspec.defstruct(
            "Entity", [(field.name, field.python_type()) for field in self._fields], kw_only=True, forbid_unknown_fields=True
        )

    def problems(self, path: str, entity: Mapping[str, Any]) -> Iterator[Problem]:
        """All that is wrong with an entity; `path` says where it stands."""
        try:
            msgspec.convert(entity, self._type)
        except msgspec.ValidationError:
            yield from self._explained(path, entity)

    def read(self, entity: Mapping[str, Any]) -> Any:
        """The entity as a record that has the fields of its key, if it has no problems."""
        return msgspec.convert(entity, self._type)

    def _explained(self, path: str, entity: Mapping[str, Any]) -> Iterator[Problem]:
        names = [field.name for field in self._fields]
        if set(entity) != set(names):
            yield Problem(path=path, found=str(sorted(entity)), expected=str(sorted(names)))
        for field in self._fields:
            try:
                msgspec.convert(entity.get(field.name), field.python_type())
            except msgspec.ValidationError:
                if field.name in entity:
                    yield Problem(path=f"{path}.{field.name}", found=repr(entity[field.name]), expected=field.expectation())


class NamedEntity(msgspec.Struct, frozen=True, kw_only=True):
    """One entity: the values of its key, the same as rows keep them, and the keyed hashes of the whole and of each value."""

    values: dict[str, Any]
    kept: dict[str, Any]
    key_hash: str
    value_hashes: dict[str, str | None]


def read_entity(schema: InputSchema, privacy: Privacy, text: str) -> NamedEntity:
    """The entity that this JSON names. Raises InvalidInput with every problem, SettingError for a use case without any."""
    if not schema.entity_key:
        raise SettingError(f"the entity key of {schema.use_case!r}", schema.entity_key, "fields that say what a row is about")
    try:
        entity = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        expected = f"a JSON object with {', '.join(schema.entity_key)}"
        raise InvalidInput([Problem(path="entity", found=f"{text!r} ({error})", expected=expected)]) from error
    reader = EntityReader(schema)
    problems = list(reader.problems("entity", entity))
    if problems:
        raise InvalidInput(problems)
    record = reader.read(entity)
    values = {name: getattr(record, name) for name in schema.entity_key}
    hashes = {name: privacy.value_hash(schema.use_case, name, value) for name, value in values.items()}
    return NamedEntity(
        values=values,
        kept={name: hashes[name] if schema.field(name).is_hashed else value for name, value in values.items()},
        key_hash=privacy.key_hash(schema.use_case, schema.spell_entity(values.values())),
        value_hashes=hashes,
    )
