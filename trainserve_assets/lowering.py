"""What stops a challenger that does harm: its share goes to zero, by a version of the parameters like any operator's.

It only lowers, so it needs no signature, and every proxy judges it as it does all others. It is done once for what a package
was found to harm: whoever raises the share again afterwards has the last word, until another guardrail is crossed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from lake.documents import DocumentStore
from lake.errors import Conflict
from lake.input_schema import InputSchema
from lake.parameters.checked_rules import check_rules
from lake.parameters.document import Arm, Content, Parameters, content_of
from lake.parameters.environment import parameters_from_environment
from lake.parameters.shares import greatest_planned_share
from lake.parameters.signed import Judge
from lake.parameters.stored import Followed, find_parameters, follow, publish_after, versions
from lake.release.decision import RiskTier
from lake.release.trust import Trust
from lake.times import rfc3339, utc

BY = "experiment"
_TRIES = 5
_SHOWN = 12
_LONGEST_WHY = 1_000

# Lowered now; before, for the same; it gets nothing anyway; or nobody knows what it gets.
Outcome = Literal["lowered", "lowered before", "no share", "no parameters"]


class Harm(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger, by its arm and package, and the guardrails that it crossed, each with its words."""

    arm: str
    package_digest: str
    guardrails: Mapping[str, str]

    @property
    def why(self) -> str:
        """The reason that stands in the history of the parameters."""
        words = "; ".join(self.guardrails.values())
        return f"{self._begins} does harm ({', '.join(map(repr, self.guardrails))}), so it gets no share: {words}"[:_LONGEST_WHY]

    def is_told_in(self, former: Parameters) -> bool:
        """Whether this version lowered the share for all of it already."""
        same = former.changed_by == BY and former.why.startswith(self._begins)
        return same and all(repr(name) in former.why for name in self.guardrails)

    @property
    def _begins(self) -> str:
        return f"The challenger {self.package_digest[:_SHOWN]} on arm {self.arm!r}"


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """How it is told which parameters every proxy goes by: with the same trust, tier, input schema and version 0."""

    trust: Trust
    tier: RiskTier
    schema: InputSchema
    environment: Mapping[str, str]

    def follow(self, store: DocumentStore, taken: list[Parameters], now: datetime) -> Followed:
        """What is in force; each version that held is added to `taken`. Raises Unavailable, SettingError."""
        use_case = self.schema.use_case
        start = Parameters(use_case=use_case)
        if self.environment.get("PROXY_UPSTREAMS"):
            start = parameters_from_environment(self.environment).get(use_case, start)
        judge = Judge(self.trust, self.tier, now, _addresses(store, start))

        def check(before: Parameters, after: Parameters) -> None:
            judge.check(before, after)
            check_rules(after, self.schema)

        return follow(store, start, check, taken.append)


def lower(store: DocumentStore, in_force: InForce, harm: Harm, now: datetime) -> Outcome:
    """Store a version in which the arm has no share and no ramp, if it has any. Safe to run twice. Raises Unavailable.

    Where somebody stores another version meanwhile, that one is read and judged. Raises Conflict where that goes on.
    """
    for _ in range(_TRIES):
        former: list[Parameters] = []
        followed = in_force.follow(store, former, now)
        before = followed.document
        if not before.arms:
            return "no parameters"
        arm = before.arms.get(harm.arm)
        if arm is None or not arm.active or greatest_planned_share(arm) <= 0:
            return "no share"
        if any(harm.is_told_in(one) for one in former):
            return "lowered before"
        try:
            publish_after(store, _lowered(before, harm, arm, now), followed)
        except Conflict:
            continue
        return "lowered"
    raise Conflict(f"parameters of {in_force.schema.use_case!r}", "a moment without other writers", f"{_TRIES} of them")


def _lowered(before: Parameters, harm: Harm, arm: Arm, now: datetime) -> Parameters:
    lowered = {**before.arms, harm.arm: msgspec.structs.replace(arm, share=0.0, ramp=None)}
    content = msgspec.structs.replace(content_of(before), arms=lowered)
    at = now if before.changed_at_utc is None else max(now, utc(before.changed_at_utc))  # another clock may be ahead
    decided = {name: getattr(content, name) for name in Content.__struct_fields__}
    return Parameters(use_case=before.use_case, changed_by=BY, changed_at_utc=rfc3339(at), why=harm.why, **decided)


def _addresses(store: DocumentStore, start: Parameters) -> dict[str, tuple[str, ...]]:
    """The addresses that are vouched for: those of version 0, and where nobody knows that, all that were ever stored."""
    found = {name: arm.upstreams for name, arm in start.arms.items()}
    if found:
        return found
    for number in versions(store, start.use_case):
        document = find_parameters(store, start.use_case, number)
        for name, arm in ({} if document is None else document.arms).items():
            found[name] = (*found.get(name, ()), *arm.upstreams)
    return found
