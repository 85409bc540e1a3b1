"""The API pages, which work without a network, with request bodies and examples from the live input schemas."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import swagger_ui_bundle
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin
from litestar.static_files import create_static_files_router

from lake.input_schema import Field, InputSchema
from lake.interface.problems import MEDIA_TYPE, ProblemDocument
from lake.log.labels import Label
from lake.protocol import TENSOR_TYPES

ASSETS_PATH = "/schema/assets"

Schemas = Callable[[], Iterable[InputSchema]]

_JSON_TYPES = {"category": "string", "timestamp": "string", "boolean": "boolean", "integer": "integer", "number": "number"}


def example_record(schema: InputSchema) -> dict[str, Any]:
    """A row that the decoder accepts: each field's own example, else null or the least that fits."""
    return {field.name: _example(field) for field in schema.fields}


def example_infer(schema: InputSchema) -> dict[str, Any]:
    """The same row in the Open Inference Protocol."""
    record = example_record(schema)
    inputs = [
        {"name": field.name, "shape": [1], "datatype": TENSOR_TYPES[field.type][0], "data": [record[field.name]]}
        for field in schema.fields
    ]
    return {"id": "my-request-1", "inputs": inputs}


def example_labels(schema: InputSchema) -> dict[str, Any]:
    """Labels by each of their names: the id of a request, or, where rows have one, an entity and its time."""
    truth = schema.classes[0] if schema.task == "multiclass" else 1
    examples: dict[str, Any] = {"by request": {"request_id": "01a20afc-00df-74a9-8fe9-48895b375d54", "row": 0, "label": truth}}
    if schema.entity_key and schema.event_time:
        row = example_record(schema)
        entity = {name: row[name] for name in schema.entity_key}
        examples["by entity"] = {"labels": [{"entity": entity, "event_time": row[schema.event_time], "label": truth}]}
    return examples


def answer(body: type[Any], description: str) -> ResponseSpec:
    """A documented JSON answer, without the random examples that Litestar would make up."""
    return ResponseSpec(body, description=description, generate_examples=False)


def problem(description: str) -> ResponseSpec:
    """A documented refusal."""
    return ResponseSpec(ProblemDocument, description=description, media_type=MEDIA_TYPE, generate_examples=False)


def api_documentation(title: str, version: str, description: str, schemas: Schemas) -> OpenAPIConfig:
    """The OpenAPI document at `/schema/openapi.json` and its page at `/schema`."""
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        path="/schema",
        use_handler_docstrings=True,
        render_plugins=[_Json(schemas), _Page(schemas)],
    )


def documentation_assets() -> Router:
    """The page's script and style, from the installed package."""
    return create_static_files_router(
        path=ASSETS_PATH, directories=[Path(swagger_ui_bundle.swagger_ui_path)], include_in_schema=False
    )


class _Json(JsonRenderPlugin):
    def __init__(self, schemas: Schemas) -> None:
        super().__init__()
        self._schemas = schemas

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, _with_bodies(openapi_schema, list(self._schemas())))


class _Page(SwaggerRenderPlugin):
    def __init__(self, schemas: Schemas) -> None:
        super().__init__(
            js_url=f"{ASSETS_PATH}/swagger-ui-bundle.js",
            css_url=f"{ASSETS_PATH}/swagger-ui.css",
            standalone_preset_js_url=f"{ASSETS_PATH}/swagger-ui-standalone-preset.js",
            favicon=f'<link rel="icon" type="image/png" href="{ASSETS_PATH}/favicon-32x32.png">',
            path=["/", "/swagger"],
        )
        self._schemas = schemas

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, _with_bodies(openapi_schema, list(self._schemas())))


def _with_bodies(document: dict[str, Any], schemas: list[InputSchema]) -> dict[str, Any]:
    document = deepcopy(document)
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for schema in schemas:
        components[f"{schema.use_case}_record"] = _record_schema(schema)
    records = [{"$ref": f"#/components/schemas/{schema.use_case}_record"} for schema in schemas]
    predict = {
        "type": "object",
        "required": ["records"],
        "additionalProperties": False,
        "properties": {
            "records": {"type": "array", "minItems": 1, "items": records[0] if len(records) == 1 else {"oneOf": records}},
            "id": {"type": ["string", "null"], "description": "your own id for the request; it is echoed and logged"},
        },
    }
    _set_body(document, "/models/{name}/predict", predict, {s.use_case: {"records": [example_record(s)]} for s in schemas})
    infer = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "minItems": 1, "items": _TENSOR_SCHEMA},
            "outputs": {"type": "array", "items": {"type": "object"}},
        },
    }
    _set_body(document, "/v2/models/{name}/infer", infer, {s.use_case: example_infer(s) for s in schemas})
    labels = {
        "type": "object",
        "required": ["labels"],
        "additionalProperties": False,
        "properties": {"labels": {"type": "array", "minItems": 1, "items": _LABEL_SCHEMA}},
    }
    examples = {f"{s.use_case}, {how}": example for s in schemas for how, example in example_labels(s).items()}
    _set_body(document, "/models/{name}/labels", {"oneOf": [_LABEL_SCHEMA, labels]}, examples)
    names = [schema.use_case for schema in schemas]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["summary"] = operation["description"].partition(". ")[0].rstrip(".")
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "name" and names:
                    parameter["schema"] = {"type": "string", "enum": names}
    return document


_TENSOR_SCHEMA = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "enum": sorted({name for names in TENSOR_TYPES.values() for name in names})},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}

_LABEL_SCHEMA = msgspec.json.schema_components([Label])[1]["Label"]


def _set_body(document: dict[str, Any], path: str, schema: dict[str, Any], examples: dict[str, Any]) -> None:
    operation = document["paths"].get(path, {}).get("post")
    if operation is not None:
        content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}


def _record_schema(schema: InputSchema) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in schema.fields if not field.nullable],
        "properties": {field.name: _field_schema(field) for field in schema.fields},
        "example": example_record(schema),
    }


def _field_schema(field: Field) -> dict[str, Any]:
    kind = _JSON_TYPES[field.type]
    described: dict[str, Any] = {
        "type": [kind, "null"] if field.nullable else kind,
        "description": " ".join(filter(None, (field.description, f"({field.expectation()})"))),
    }
    if field.minimum is not None:
        described["minimum"] = field.minimum
    if field.maximum is not None:
        described["maximum"] = field.maximum
    if field.type == "timestamp":
        described["format"] = "date-time"
    if field.type == "category":
        described["maxLength"] = 256
    if field.categories and field.unknown_category == "refuse":
        described["enum"] = [*field.categories, *([None] if field.nullable else [])]
    return described


def _example(field: Field) -> Any:
    if field.example is not None:
        return field.example
    if field.nullable:
        return None
    least: dict[str, Any] = {
        "category": field.categories[0] if field.categories else "text",
        "timestamp": "2013-07-01T09:30:00Z",
        "boolean": False,
        "integer": int(field.minimum or 0),
        "number": field.minimum or 0.0,
    }
    return least[field.type]
