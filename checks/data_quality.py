"""What must hold for labelled examples before anything learns from them: rules that Polars measures in one pass."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from checks.expectations import Expected, expect
from checks.verdict import Verdict
from lake.input_schema import Field, InputSchema

# Fewer rows than this train nothing and judge nothing.
FEWEST_ROWS = 100
LONGEST_TEXT = 256
JUDGED_SPLITS = ("train", "holdout")

FIELDS = "fields_hold_to_the_input_schema"
LABELS = "labels_are_what_the_task_says"
EXAMPLES = "no_example_is_there_twice"
SPLITS = "every_split_has_rows_of_every_class"
CLAIMS: Mapping[str, str] = {
    FIELDS: "Every value fits its field: nulls, range, categories, length.",
    LABELS: "Every label is there, and is a value that the task knows.",
    EXAMPLES: "Entity and event time name one row.",
    SPLITS: f"Train and holdout have {FEWEST_ROWS} rows or more, and each class.",
}


class Rule(NamedTuple):
    """A part of a claim: what is measured, how, and what it must be."""

    claim: str
    expected: Expected
    measured: pl.Expr


def judge_examples(examples: pl.LazyFrame, schema: InputSchema, key: Sequence[str]) -> dict[str, list[Verdict]]:
    """The verdicts on each claim about labelled examples; `key` are the columns that name an example."""
    rules = list(_rules(schema, key))
    measured, rows = _measured(examples, rules)
    verdicts = expect(measured, [rule.expected for rule in rules], rows)
    return {claim: [verdict for rule, verdict in zip(rules, verdicts, strict=True) if rule.claim == claim] for claim in CLAIMS}


def shortcomings(examples: pl.LazyFrame, schema: InputSchema, key: Sequence[str]) -> list[str]:
    """What of labelled examples does not hold, in the words of the verdicts; for who is to use them, and loads no pandas."""
    rules = list(_rules(schema, key))
    measured, _ = _measured(examples, rules)
    found = [(rule.expected, measured[rule.expected.measurement]) for rule in rules]
    return [expected.reason(observed) for expected, observed in found if not expected.holds(observed)]


def _measured(examples: pl.LazyFrame, rules: Sequence[Rule]) -> tuple[dict[str, float | None], int]:
    """What each rule measures, by its name, and over how many rows."""
    columns = [rule.measured.cast(pl.Float64).alias(rule.expected.measurement) for rule in rules]
    measured = examples.select(pl.len().alias("rows"), *columns).collect().row(0, named=True)
    return measured, measured.pop("rows")


def _rules(schema: InputSchema, key: Sequence[str]) -> Iterator[Rule]:
    for field in schema.fields:
        yield from _field_rules(field)
    yield from _label_rules(schema)
    yield Rule(EXAMPLES, _at_most("rows of an example that is there before", 0), pl.len() - pl.struct(key).n_unique())
    for split in JUDGED_SPLITS:
        here = pl.col("split") == split
        yield Rule(SPLITS, _at_least(f"rows in {split}", FEWEST_ROWS), here.sum())
        for name, is_class in _classes(schema).items():
            yield Rule(SPLITS, _at_least(f"rows of class {name} in {split}", 1), (here & is_class).sum())


def _field_rules(field: Field) -> Iterator[Rule]:
    column, name = pl.col(field.name), field.name
    if field.nullable:
        yield Rule(FIELDS, _at_least(f"{name}, known values", 1), column.count())
    else:
        yield Rule(FIELDS, _at_most(f"{name}, nulls", 0), column.null_count())
    if field.minimum is not None:
        yield Rule(FIELDS, _at_least(f"{name}, least", field.minimum), column.min())
    if field.maximum is not None:
        yield Rule(FIELDS, _at_most(f"{name}, greatest", field.maximum), column.max())
    if field.type == "number":
        yield Rule(FIELDS, _at_most(f"{name}, values that are not finite", 0), (~column.is_finite()).sum())
    if field.type == "category":
        yield Rule(FIELDS, _at_most(f"{name}, characters of the longest", LONGEST_TEXT), column.str.len_chars().max())
        if field.categories and field.unknown_category == "refuse":
            yield Rule(FIELDS, _at_most(f"{name}, unknown categories", 0), (~column.is_in(field.categories)).sum())


def _label_rules(schema: InputSchema) -> Iterator[Rule]:
    label = pl.col("label")
    yield Rule(LABELS, _at_most("label, nulls", 0), label.null_count())
    if schema.task == "regression":
        yield Rule(LABELS, _at_most("label, values that are not finite", 0), (~label.is_finite()).sum())
    else:
        known = pl.any_horizontal(*_classes(schema).values())
        yield Rule(LABELS, _at_most("label, values that are no class", 0), (~known).sum())


def _classes(schema: InputSchema) -> dict[str, pl.Expr]:
    match schema.task:
        case "binary":
            return {"0": pl.col("label") == 0.0, "1": pl.col("label") == 1.0}
        case "multiclass":
            return {name: pl.col("label") == name for name in schema.classes}
        case "regression":
            return {}


def _at_most(measurement: str, limit: float) -> Expected:
    return Expected(measurement=measurement, maximum=limit)


def _at_least(measurement: str, limit: float) -> Expected:
    return Expected(measurement=measurement, minimum=limit)
