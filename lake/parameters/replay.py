"""Parameters tried against the log: which past answers would have been others, how, and what cannot be told.

Rules are tried on the rows as they were logged, with the scores that their models gave, at the time of their arrival. Which
key a request had is logged as a hash alone, so a changed share is counted, not replayed.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl

from lake.decoder import epoch_us
from lake.input_schema import InputSchema
from lake.parameters.document import Content
from lake.parameters.effects import answered_in_place, ruled
from lake.parameters.retrial import Retrial
from lake.parameters.rules import Refuse, Rule, UseArm

EXAMPLES = 3
_COLUMNS = ("request_id", "row", "arm", "received_at_utc", "features", "scores", "answer", "rule", "outcome")


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One row that would have been answered otherwise."""

    request_id: str
    row: int
    was: str
    would_be: str


class Effect(msgspec.Struct, kw_only=True):
    """What one rule would have done: rows it fires for, and how their answers would differ."""

    rows: int = 0
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    examples: list[Example] = msgspec.field(default_factory=list)


class Replay(msgspec.Struct, kw_only=True):
    """What a try against so many rows found. By rule; None is what no rule of the document fires for."""

    rows: int = 0
    changed: int = 0
    unknown: Counter[str] = msgspec.field(default_factory=Counter)
    by_rule: dict[str | None, Effect] = msgspec.field(default_factory=dict)


def replay(document: Content, schema: InputSchema, rows: pl.DataFrame) -> Replay:
    """Try a document, which has passed its checks, against logged answers."""
    trial = _Trial(document, schema)
    for row in rows.select(_COLUMNS).iter_rows(named=True):
        trial.take(row)
    return trial.found


def newest_answers(predictions: pl.LazyFrame, count: int) -> pl.DataFrame:
    """The rows that clients were answered, refused, or failed with last; shadows' are nobody's answer."""
    return predictions.filter(pl.col("purpose") == "answer").select(_COLUMNS).sort("received_at_utc").tail(count).collect()


class _Trial:
    def __init__(self, document: Content, schema: InputSchema) -> None:
        self.found = Replay()
        self._document = document
        self._schema = schema
        self._retrial = Retrial(document.rules, schema)

    def take(self, row: dict[str, Any]) -> None:
        """One logged row."""
        self.found.rows += 1
        why = self._cannot(row)
        if why is not None:
            self.found.unknown[why] += 1
            return
        rule = self._retrial.first(row["features"], epoch_us(row["received_at_utc"]))
        effect = self.found.by_rule.setdefault(None if rule is None else rule.name, Effect())
        effect.rows += 1
        for kind, would_be in self._differences(row, rule):
            effect.kinds[kind] += 1
            self.found.changed += 1
            if len(effect.examples) < EXAMPLES:
                example = Example(request_id=row["request_id"], row=row["row"], was=_shown(row), would_be=would_be)
                effect.examples.append(example)

    def _cannot(self, row: dict[str, Any]) -> str | None:
        """Why a row cannot be tried, or None."""
        if row["features"] is None:
            return "its fields could not be decoded, or were never read"
        if self._retrial.hidden:
            return f"the log keeps {self._retrial.hidden} hashed, or not at all, and rules ask for them"
        return None

    def _differences(self, row: dict[str, Any], rule: Rule | None) -> Iterator[tuple[str, str]]:
        """How the row would have been answered, if otherwise."""
        for effect in rule.then if rule is not None else ():
            if isinstance(effect, Refuse):
                if row["outcome"] == "answered":
                    yield "refused", f"refused: {effect.why}"
                return
            if isinstance(effect, UseArm) and effect.arm != row["arm"]:
                yield "another arm, whose answer is not known", f"asked of arm {effect.arm!r}"
                return
        scores = answered_in_place(rule) or row["scores"]
        if scores is None:
            if row["outcome"] != "refused" or row["rule"] is None:
                return
            yield "answered, how is not known", "asked of a model"
            return
        would_be = ruled(rule, scores, self._schema.task, self._document.threshold)
        decision = "" if would_be.decision is None else f", decision {'yes' if would_be.decision else 'no'}"
        if row["answer"] is None:
            yield "answered", f"{would_be.scores}{decision}"
        elif would_be.scores != row["answer"]:
            yield "another score", f"{would_be.scores}{decision}"


def _shown(row: dict[str, Any]) -> str:
    by = "" if row["rule"] is None else f" (rule {row['rule']})"
    return f"{row['outcome'] if row['answer'] is None else row['answer']}{by}"
