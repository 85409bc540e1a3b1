"""The way of one request by all that holds at this moment: kill switch, parameters, rules, releases."""

from collections.abc import Collection
from http import HTTPStatus

from lake.errors import TrainServeError
from lake.interface.problems import Refused
from lake.log.exchange import Exchange
from lake.parameters.effects import answered_in_place
from lake.parameters.reserved import INACTIVE, STOPPED
from lake.parameters.rules import Refuse, Rule, UseArm
from lake.release.expiry import APPROVE_AGAIN, refused
from proxy.routing import Route, choose, made_up_for, overridden
from proxy.watch import State, Watch


class Inactive(Refused):
    """The use case is switched off."""

    def __init__(self, why: str) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, why)


class Settled(TrainServeError):
    """No model is asked: rules, or the answer of a use case that is not active, have scores for every row."""

    def __init__(self, scores: list[list[float]], *, active: bool) -> None:
        super().__init__("answered without a model")
        self.scores = scores
        self.active = active


class Router:
    """Routes by the state of the watch."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def route(self, exchange: Exchange) -> Route:
        """The release that is asked now. Raises Settled where none has to be, Inactive, Refused, Unavailable.

        Asked again, it goes by what holds then: version and rules that the exchange keeps are those of the last route.
        """
        state = self._watch.state(exchange.use_case)
        plan, held = state.plan, self._watch.switch.held(exchange.use_case)
        exchange.parameters_version, exchange.threshold = plan.parameters.version, plan.parameters.threshold
        exchange.fired = None
        self._check_active(exchange, state)
        records = () if exchange.rows is None else exchange.rows.records
        exchange.fired = fired = plan.fired(records, exchange.received_at_us)
        if fired is not None:
            _check_refused(fired)
            if (scores := _settled(fired)) is not None:
                raise Settled(scores, active=True)
        live = self._watch.live(exchange.use_case)
        if fired is not None and (by := _arm_of(fired)) is not None:
            route = overridden(plan, live, by[0], by[1], held)
            if route is not None:
                return route
        key = exchange.request_id if plan.parameters.sticky == "request" else exchange.routing_key or exchange.request_id
        found = choose(plan, live, key, self._watch.clock(), held)
        if found is None:
            raise _nobody(exchange, state, self._watch)
        return found

    def made_up_for(self, use_case: str, failed: Collection[str]) -> Route | None:
        """Who may answer instead of the arms that failed, by what holds now; None where none did."""
        state = self._watch.state(use_case)
        if not failed or not state.parameters.active or self._watch.switch.stop_of(use_case) is not None:
            return None
        return made_up_for(state.plan, self._watch.live(use_case), failed, self._watch.switch.held(use_case))

    def _check_active(self, exchange: Exchange, state: State) -> None:
        stop = self._watch.switch.stop_of(exchange.use_case)
        if stop is None and state.parameters.active:
            return
        exchange.rule = INACTIVE if stop is None else STOPPED
        fixed = state.parameters.inactive_answer
        if fixed is not None and exchange.rows is not None:
            raise Settled([list(fixed.scores) for _ in exchange.rows.records], active=False)
        raise Inactive(f"Model {exchange.use_case!r} is switched off by its operator.")


def _check_refused(fired: list[Rule | None]) -> None:
    """Raises Refused in the words of the first rule that refuses a row."""
    for index, rule in enumerate(fired):
        for effect in rule.then if rule is not None else ():
            if isinstance(effect, Refuse):
                detail = f"Row {index} is refused by the operator's rule {rule.name!r}: {effect.why}" if rule else effect.why
                raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _settled(fired: list[Rule | None]) -> list[list[float]] | None:
    """The scores of every row, where rules answer all of them."""
    scores = []
    for rule in fired:
        found = answered_in_place(rule)
        if found is None:
            return None
        scores.append(found)
    return scores


def _arm_of(fired: list[Rule | None]) -> tuple[str, str] | None:
    """The arm that the first row asks for which a rule has one, and the rule's name."""
    for rule in fired:
        for effect in rule.then if rule is not None else ():
            if isinstance(effect, UseArm) and rule is not None:
                return effect.arm, rule.name
    return None


def _nobody(exchange: Exchange, state: State, watch: Watch) -> Refused:
    champion = state.live.champion
    over = None if champion is None else refused(champion, state.policy, watch.clock())
    detail = f"{over}. {APPROVE_AGAIN}" if over else f"No champion of {exchange.use_case!r} is released and reachable."
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail)
