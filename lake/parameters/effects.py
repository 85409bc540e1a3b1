"""What the effects of a rule make of a row's scores; pure, the same for the proxy and for a try against the log."""

from collections.abc import Sequence

import msgspec

from lake.input_schema import Task
from lake.parameters.rules import Answer, Clip, Rule, Shift, Threshold


class Ruled(msgspec.Struct, frozen=True, gc=False):
    """A row's answer, and the decision where the use case has a threshold."""

    scores: list[float]
    decision: bool | None


def answered_in_place(rule: Rule | None) -> list[float] | None:
    """The scores that the rule answers with in the model's place, or None."""
    if rule is not None:
        for effect in rule.then:
            if isinstance(effect, Answer):
                return list(effect.scores)
    return None


def ruled(rule: Rule | None, scores: Sequence[float], task: Task, threshold: float | None) -> Ruled:
    """The answer to a row that was given these scores. The model's scores come back as the very numbers they were."""
    values = list(scores)
    for effect in rule.then if rule is not None else ():
        match effect:
            case Answer():
                values = list(effect.scores)
            case Shift():
                values[0] += effect.by
                if task == "binary":
                    values[0] = min(1.0, max(0.0, values[0]))
            case Clip():
                values[0] = values[0] if effect.low is None else max(effect.low, values[0])
                values[0] = values[0] if effect.high is None else min(effect.high, values[0])
            case Threshold():
                threshold = effect.at
            case _:
                pass
    return Ruled(values, None if threshold is None else values[0] >= threshold)
