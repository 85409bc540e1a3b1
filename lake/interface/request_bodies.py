"""The bodies of requests as the OpenAPI document describes them, with examples, from the live input schemas."""

import math
from copy import deepcopy
from typing import Any

import msgspec

from lake.input_schema import INT64_MAXIMUM, INT64_MINIMUM, Field, InputSchema
from lake.interface.bodies import BYTES
from lake.interface.examples import example_infer, example_labels, example_record
from lake.log.labels import Label
from lake.protocol import JSON_LENGTH_HEADER, LONGEST_ID, TENSOR_TYPES, output_names

_JSON_TYPES = {"category": "string", "timestamp": "string", "boolean": "boolean", "integer": "integer", "number": "number"}
_INFER, _INFER_VERSION = "/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"
_PARAMETERS = {"type": ["object", "null"], "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
_ID = {
    "type": ["string", "null"],
    "maxLength": LONGEST_ID,
    "description": "your own id for the request; it is echoed and logged",
}
_LABEL_SCHEMA = msgspec.json.schema_components([Label])[1]["Label"]


def with_bodies(document: dict[str, Any], schemas: list[InputSchema], maximum_rows: int) -> dict[str, Any]:
    """The document with the bodies of requests about rows of these schemas."""
    document = deepcopy(document)
    components = document.setdefault("components", {}).setdefault("schemas", {})
    for schema in schemas:
        components[f"{schema.use_case}_record"] = _record_schema(schema)
        components[f"{schema.use_case}_infer"] = _infer_schema(schema, maximum_rows)
    predict = {
        "type": "object",
        "required": ["records"],
        "additionalProperties": False,
        "properties": {
            "records": {"type": "array", "minItems": 1, "maxItems": maximum_rows, "items": _one_of(schemas, "record")},
            "id": _ID,
        },
    }
    _set_body(document, "/models/{name}/predict", predict, {s.use_case: {"records": [example_record(s)]} for s in schemas})
    _set_body(document, _INFER, _one_of(schemas, "infer"), {s.use_case: example_infer(s) for s in schemas})
    _set_body(document, _INFER_VERSION, _one_of(schemas, "infer"), {})
    for path in (_INFER, _INFER_VERSION):
        _allow_tensors(document, path)
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
                elif parameter["name"] == "version":
                    parameter["schema"] = {"type": "string"}
    return document


def _one_of(schemas: list[InputSchema], kind: str) -> dict[str, Any]:
    """A schema of one of the use cases; of any, while none is known."""
    references = [{"$ref": f"#/components/schemas/{schema.use_case}_{kind}"} for schema in schemas]
    if not references:
        return {"type": "object"}
    return references[0] if len(references) == 1 else {"oneOf": references}


def _set_body(document: dict[str, Any], path: str, schema: dict[str, Any], examples: dict[str, Any]) -> None:
    operation = document["paths"].get(path, {}).get("post")
    if operation is not None:
        content = {"schema": schema, **({"examples": {name: {"value": of} for name, of in examples.items()}} if examples else {})}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}


def _allow_tensors(document: dict[str, Any], path: str) -> None:
    """Say that tensors may follow the JSON as bytes, and answers be so too."""
    operation = document["paths"].get(path, {}).get("post")
    if operation is None:
        return
    described = f"JSON, and behind it the bytes of tensors; the header `{JSON_LENGTH_HEADER}` says where the JSON ends"
    as_bytes = {"schema": {"type": "string", "format": "binary", "description": described}}
    operation["requestBody"]["content"][BYTES] = as_bytes
    operation["responses"]["200"]["content"][BYTES] = as_bytes


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
    if field.type == "integer":
        described["minimum"] = INT64_MINIMUM if field.minimum is None else math.ceil(field.minimum)
        described["maximum"] = INT64_MAXIMUM if field.maximum is None else math.floor(field.maximum)
    elif field.minimum is not None:
        described["minimum"] = field.minimum
    if field.type == "number" and field.maximum is not None:
        described["maximum"] = field.maximum
    if field.type == "timestamp":
        described["format"] = "date-time"
    if field.type == "category":
        described["maxLength"] = 256
    if field.categories and field.unknown_category == "refuse":
        described["enum"] = [*field.categories, *([None] if field.nullable else [])]
    return described


def _infer_schema(schema: InputSchema, maximum_rows: int) -> dict[str, Any]:
    """A request in the protocol. JSON Schema cannot say what shapes and the lengths of data have to do with each other."""
    output = {
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": {"name": {"type": "string", "enum": list(output_names(schema))}, "parameters": _PARAMETERS},
    }
    required = [field.name for field in schema.fields if not field.nullable]
    inputs = {
        "type": "array",
        "minItems": max(1, len(required)),
        "description": f"one tensor for each field, all of one length; needed are {', '.join(required)}",
        "maxItems": len(schema.fields),
        "items": {"oneOf": [_tensor_schema(field, maximum_rows) for field in schema.fields]},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "id": _ID,
            "parameters": _PARAMETERS,
            "inputs": inputs,
            "outputs": {"type": ["array", "null"], "items": output},
        },
    }


def _tensor_schema(field: Field, maximum_rows: int) -> dict[str, Any]:
    rows = {"type": "integer", "minimum": 1, "maximum": maximum_rows}
    values = _field_schema(field)
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string", "const": field.name},
            "shape": {"type": "array", "prefixItems": [rows, {"const": 1}], "items": False, "minItems": 1},
            "datatype": {"type": "string", "enum": list(TENSOR_TYPES[field.type])},
            "data": {
                "type": "array",
                "items": {"anyOf": [values, {"type": "array", "items": values, "minItems": 1, "maxItems": 1}]},
            },
            "parameters": _PARAMETERS,
        },
    }
