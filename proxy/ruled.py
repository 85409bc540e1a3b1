"""The answer to a request after the rules that fired for its rows: what the client is told, and what its rows keep."""

from lake.input_schema import Task
from lake.interface.messages import InterfaceName
from lake.interface.ruled import with_rules, without_model
from lake.parameters.effects import Ruled, ruled
from proxy.exchange import Exchange


def changed_answer(exchange: Exchange, interface: InterfaceName, body: bytes, scores: list[list[float]], task: Task) -> bytes:
    """A predictor's answer after the rules; the predictor's own bytes where none of them fired and nothing is decided.

    Raises msgspec.MsgspecError.
    """
    fired = exchange.fired or [None] * len(scores)
    if exchange.threshold is None and not any(fired):
        return body
    rows = [ruled(rule, row, task, exchange.threshold) for rule, row in zip(fired, scores, strict=True)]
    exchange.answers = [row.scores for row in rows]
    return with_rules(interface, body, rows, [None if rule is None else rule.name for rule in fired])


def settled_answer(exchange: Exchange, interface: InterfaceName, scores: list[list[float]]) -> bytes:
    """The answer of which every row was settled without a model."""
    exchange.answers = scores
    exchange.release, exchange.arm = None, None
    threshold = exchange.threshold
    rows = [Ruled(row, None if threshold is None else row[0] >= threshold) for row in scores]
    names = [exchange.rule_of(index) for index in range(len(rows))]
    client_id = None if exchange.rows is None else exchange.rows.client_request_id
    return without_model(interface, exchange.use_case, exchange.request_id, client_id, rows, names)
