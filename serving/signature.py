"""The signature of a model: what a row of it may hold, and what it answers."""

from lake.input_schema import Field, InputSchema
from lake.interface.messages import FieldSignature, OutputSignature, Signature
from lake.protocol import LABEL, SCORE, TENSOR_TYPES, UNKNOWN_CATEGORIES, output_names

_SCORES = {
    "binary": "the probability of the label: {}",
    "multiclass": "the probability of each class of the label, in the order of the classes: {}",
    "regression": "the value of the label: {}",
}
_OUTPUTS = {
    LABEL: "the class with the greatest score",
    UNKNOWN_CATEGORIES: "the fields of a row whose category the model does not know, comma between them",
}


def signature_of(schema: InputSchema, classes: tuple[str, ...]) -> Signature:
    """The signature of a model with these classes, none but for a multiclass label."""
    outputs = [
        OutputSignature(
            name=name,
            datatype="FP64" if name == SCORE else "BYTES",
            shape=[-1, len(classes)] if classes and name == SCORE else [-1],
            description=_SCORES[schema.task].format(schema.label) if name == SCORE else _OUTPUTS[name],
            classes=() if name == UNKNOWN_CATEGORIES else classes,
        )
        for name in output_names(schema)
    ]
    return Signature(inputs=[_field(field) for field in schema.fields], outputs=outputs)


def _field(field: Field) -> FieldSignature:
    return FieldSignature(
        name=field.name,
        type=field.type,
        datatype=TENSOR_TYPES[field.type][0],
        nullable=field.nullable,
        unit=field.unit,
        description=field.description,
        minimum=field.minimum,
        maximum=field.maximum,
        categories=field.categories,
        unknown_category=field.unknown_category if field.type == "category" else None,
    )
