"""The attributes of a `defs.yaml`, read by msgspec into a `UseCase` and explained when they are wrong.

Dagster reads YAML with pydantic models. The one here is made from the fields of `UseCase`, so that they stay defined
in one place; Dagster's page, `dg` and editors get the schema of the same fields.
"""

import re
from functools import cache, partial
from typing import Annotated, Any

import dagster as dg
import msgspec
from pydantic import BaseModel, BeforeValidator, create_model, model_validator

from lake.errors import TrainServeError
from trainserve_assets.use_case import UseCase

_MESSAGE = re.compile(r"(?P<problem>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]")
_LONGEST_SHOWN = 120


class _Attributes(dg.Model):
    """Base of the model: what only shows when all attributes are seen together is checked last."""

    @classmethod
    def model_json_schema(cls, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        """The JSON schema of the use case itself; pydantic's would know no types."""
        _, definitions = msgspec.json.schema_components([UseCase], ref_template="#/$defs/{name}")
        return {**definitions.pop("UseCase"), "$defs": definitions}

    @model_validator(mode="after")
    def _together(self) -> "_Attributes":
        use_case_of(self)
        return self


@cache
def attributes_model() -> type[BaseModel]:
    """The pydantic model with one field for each field of `UseCase`."""
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(UseCase):
        accepted = Annotated[Any, BeforeValidator(partial(_read, field.name, field.type))]
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        fields[field.name] = (accepted, ... if field.required else default)
    return create_model("UseCaseAttributes", __base__=_Attributes, __doc__=UseCase.__doc__, **fields)


def use_case_of(attributes: BaseModel) -> UseCase:
    """The use case that attributes describe. Raises ValueError saying what does not fit together."""
    try:
        return UseCase(**{name: getattr(attributes, name) for name in type(attributes).model_fields})
    except TrainServeError as error:
        raise ValueError(str(error)) from error


def _read(name: str, accepted: Any, value: Any) -> Any:
    """One attribute as its type. Raises ValueError naming the place in the file, what was found, what was expected."""
    try:
        return msgspec.convert(value, accepted, strict=True)
    except TrainServeError as error:
        raise ValueError(f"{name}: {error}") from error
    except msgspec.ValidationError as error:
        raise ValueError(_explain(name, accepted, value, str(error))) from error


def _explain(name: str, accepted: Any, value: Any, message: str) -> str:
    matched = _MESSAGE.fullmatch(message)
    problem, path = (matched["problem"], matched["path"] or "") if matched else (message, "")
    found, expected = value, msgspec.inspect.type_info(accepted)
    for step in _STEP.finditer(path):
        found = found[step["name"] or int(step["index"])]
        expected = _below(expected, step["name"])
    if isinstance(expected, msgspec.inspect.LiteralType):
        problem = "expected one of " + ", ".join(repr(choice) for choice in expected.values)
    shown = repr(found) if len(repr(found)) <= _LONGEST_SHOWN else repr(found)[:_LONGEST_SHOWN] + "..."
    return f"{name}{path}: {problem[0].lower()}{problem[1:]}; found {shown}"


def _below(kind: Any, name: str | None) -> Any:
    """The type one step down: of a struct's field, or of a sequence's items; None where it cannot be told."""
    if isinstance(kind, msgspec.inspect.StructType):
        return next((field.type for field in kind.fields if field.encode_name == name), None)
    return getattr(kind, "item_type", None)
