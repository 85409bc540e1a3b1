"""The answer to a request after the rules that fired for its rows: what the client is told, and what its rows keep."""

from collections.abc import Sequence

from msgspec.structs import replace

from lake.input_schema import Task
from lake.interface.answers import GivenAnswer
from lake.interface.messages import Provenance, Scored
from lake.log.exchange import Exchange
from lake.parameters.effects import Ruled, ruled

NO_MODEL = "none"


def is_changed(exchange: Exchange) -> bool:
    """Whether rules fired for a row, or a threshold decides over the rows."""
    return exchange.threshold is not None or (exchange.fired is not None and any(exchange.fired))


def changed_answer(exchange: Exchange, given: GivenAnswer, task: Task) -> GivenAnswer:
    """A predictor's answer after the rules; the very same where nothing changes it."""
    if not is_changed(exchange):
        return given
    scores = given.scored.scores
    fired = exchange.fired or [None] * len(scores)
    rows = [ruled(rule, row, task, exchange.threshold) for rule, row in zip(fired, scores, strict=True)]
    names = [None if rule is None else rule.name for rule in fired]
    exchange.answers = [row.scores for row in rows]
    scored = replace(_scored(rows, names), unknown=given.scored.unknown)
    return replace(given, scored=scored, provenance=replace(given.provenance, rules=_once(names)))


def settled_answer(exchange: Exchange, scores: list[list[float]]) -> GivenAnswer:
    """The answer of which every row was settled without a model; it is marked as fixed."""
    exchange.answers = scores
    exchange.release, exchange.arm = None, None
    threshold = exchange.threshold
    rows = [Ruled(row, None if threshold is None else row[0] >= threshold) for row in scores]
    names = [exchange.rule_of(index) for index in range(len(rows))]
    by = Provenance(
        request_id=exchange.request_id,
        arm=NO_MODEL,
        role=NO_MODEL,
        release_seq=0,
        package_digest=NO_MODEL,
        engine=NO_MODEL,
        rules=_once(names),
        fixed=True,
    )
    return GivenAnswer(_scored(rows, names), NO_MODEL, by)


def _scored(rows: Sequence[Ruled], names: Sequence[str | None]) -> Scored:
    return Scored([row.scores for row in rows], decisions=[row.decision for row in rows], rules=names)


def _once(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name is not None))
