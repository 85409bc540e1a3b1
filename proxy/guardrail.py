"""Guardrails: a ramp that does harm ends by itself, on this worker at once and for all by the next version of the parameters."""

import msgspec
import structlog

from lake.errors import TrainServeError
from lake.parameters import Parameters
from lake.parameters.document import Guardrails, change_of, content_of
from lake.parameters.shares import planned_share
from proxy.change import Changes, Stale
from proxy.observed import Observed, Observes
from proxy.watch import Watch

BY = "guardrail"

log = structlog.get_logger(__name__)


def harm(rails: Guardrails, seen: Observed) -> str | None:
    """What an arm does that its guardrails do not allow, or None. Pure."""
    if rails.circuit_open and seen.circuit_open:
        return "its circuit is open"
    if seen.requests < rails.fewest_requests:
        return None
    over = f"over {seen.requests} requests in {rails.window_s:g} s"
    rate = seen.failures / seen.requests
    if rails.error_rate is not None and rate > rails.error_rate:
        return f"{rate:.1%} of its requests failed, {over}; the limit is {rails.error_rate:.1%}"
    if rails.p99_s is not None and seen.p99_s is not None and seen.p99_s > rails.p99_s:
        return f"its p99 was {seen.p99_s:.3f} s, {over}; the limit is {rails.p99_s:g} s"
    return None


class Guardrail:
    """Looks at every ramp that has begun."""

    def __init__(self, watch: Watch, changes: Changes, observes: Observes) -> None:
        self._watch = watch
        self._changes = changes
        self._observes = observes

    def look(self) -> None:
        """Lower what does harm. Where the lake is away this worker lowers it alone, and stores it once the lake is back."""
        for use_case in self._watch.use_cases:
            parameters = self._watch.state(use_case).parameters
            for name, why in self._harmful(parameters).items():
                ramp = parameters.arms[name].ramp
                if ramp is None:
                    continue
                self._watch.switch.lower(use_case, name, ramp.falls_to)
                self._store(parameters, name, ramp.falls_to, why)

    def _harmful(self, parameters: Parameters) -> dict[str, str]:
        now, found = self._watch.clock(), {}
        lowered = self._watch.switch.held(parameters.use_case).shares
        for name, arm in parameters.arms.items():
            if arm.ramp is None or not arm.active or planned_share(arm, now) <= arm.ramp.falls_to:
                continue
            if name in lowered:
                found[name] = "it did harm while the lake was away"
                continue
            seen = self._observes.observed(parameters.use_case, name, arm.ramp.guardrails.window_s)
            why = harm(arm.ramp.guardrails, seen)
            if why is not None:
                log.error("ramp stopped", use_case=parameters.use_case, arm=name, why=why, share=arm.ramp.falls_to)
                found[name] = why
        return found

    def _store(self, parameters: Parameters, name: str, share: float, why: str) -> None:
        arm = msgspec.structs.replace(parameters.arms[name], share=share, ramp=None)
        content = msgspec.structs.replace(content_of(parameters), arms={**parameters.arms, name: arm})
        change = change_of(content, f"The ramp of arm {name!r} was stopped: {why}.")
        try:
            self._changes.make(parameters.use_case, parameters.version, change, BY)
        except Stale:
            pass  # another worker was faster, or an operator: what is stored now is looked at next
        except TrainServeError as error:
            log.warning("the end of a ramp is not stored yet", use_case=parameters.use_case, arm=name, why=str(error))
