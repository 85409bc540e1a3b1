"""Examples of requests, made from an input schema, that are answered as they stand."""

from typing import Any

from lake.input_schema import Field, InputSchema
from lake.protocol import TENSOR_TYPES


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
