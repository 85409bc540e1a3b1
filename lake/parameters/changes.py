"""What differs between two versions of the parameters: what an approver has to sign, and what only lowers. Pure functions.

Stopping, lowering, refusing and falling back need one operator. A signature is needed for what gives answers another meaning
than the one that was approved: answers in the model's place, shifted or clipped scores, thresholds, a share above what its
release allows; and for an address that nobody vouched for, since who is asked there could answer anything.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from lake.parameters.document import Arm, Content, content_of
from lake.parameters.rules import MEANING, Answer, Clip, Rule, Shift, described, same_reach
from lake.parameters.shares import greatest_planned_share

Addresses = Mapping[str, Sequence[str]]  # by arm


class Meaning(msgspec.Struct, frozen=True):
    """A change that an approver signs: what it is, and whether it takes a signature whatever the policy asks for."""

    what: str
    always: bool = False


def changes_of_meaning(before: Content, after: Content, vouched: Addresses | None = None) -> list[Meaning]:
    """Each change that one operator alone cannot make. `vouched` has the addresses that the machine itself was given."""
    return [*_rules(before, after), *_answers(before, after), *_shares(before, after), *_addresses(before, after, vouched or {})]


def score_effects(content: Content) -> bytes:
    """What in it makes answers other than the model's scores: these rules, encoded; nothing where there is none."""
    rules = [rule for rule in content.rules if any(isinstance(effect, Answer | Shift | Clip) for effect in rule.then)]
    return msgspec.msgpack.encode(rules) if rules else b""


def differences(before: Content, after: Content) -> list[str]:
    """What an operator changed, in words, for the history."""
    found = []
    for name in Content.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if name == "arms":
            found += [f"arm {arm!r} added" for arm in new if arm not in old]
            found += [f"arm {arm!r} removed" for arm in old if arm not in new]
            found += [f"{arm}.{what}" for arm in new if arm in old for what in _of_arm(old[arm], new[arm])]
        elif name == "rules":
            found += _of_rules(old, new)
        elif old != new:
            found.append(f"{name}: {_shown(old)} -> {_shown(new)}")
    return found


def raises(before: Content, after: Content) -> list[str]:
    """What in a change is more than lowering shares and switching off: what a monitor may not do."""
    lowered = content_of(before)
    arms = {}
    for name, arm in before.arms.items():
        new = after.arms.get(name, arm)
        at_most = greatest_planned_share(new) <= greatest_planned_share(arm) and new.share <= arm.share
        kept = new.ramp in (None, arm.ramp)
        arms[name] = msgspec.structs.replace(
            arm,
            share=new.share if at_most else arm.share,
            ramp=new.ramp if kept and at_most else arm.ramp,
            active=arm.active and new.active,
        )
    lowered = msgspec.structs.replace(lowered, arms=arms, active=before.active and after.active)
    return differences(lowered, content_of(after))


def _rules(before: Content, after: Content) -> Iterator[Meaning]:
    """A rule that changes answers may be taken away, not added, nor reach rows that rules ahead of it kept from it."""
    known = [(same_reach(rule), _ahead(before.rules, rule)) for rule in before.rules if rule.changes_meaning]
    for rule in after.rules:
        if not rule.changes_meaning:
            continue
        reach, ahead = same_reach(rule), _ahead(after.rules, rule)
        formers = [former for one, former in known if one == reach]
        effects = ", ".join(described(effect) for effect in rule.then if isinstance(effect, MEANING))
        if not formers:
            yield Meaning(f"rule {rule.name!r} is new: {effects}")
        elif not any(former <= ahead for former in formers):
            yield Meaning(f"rule {rule.name!r} catches rows that rules ahead of it used to catch: {effects}")


def _ahead(rules: Sequence[Rule], rule: Rule) -> set[bytes]:
    """The conditions that are tried before a rule's."""
    return {msgspec.msgpack.encode(one.when) for one in rules[: rules.index(rule)]}


def _answers(before: Content, after: Content) -> Iterator[Meaning]:
    if after.inactive_answer not in (None, before.inactive_answer):
        yield Meaning("inactive_answer: scores in the model's place")
    if after.threshold != before.threshold:
        yield Meaning(f"threshold: {_shown(before.threshold)} -> {_shown(after.threshold)}")


def _shares(before: Content, after: Content) -> Iterator[Meaning]:
    for name, arm in after.arms.items():
        if arm.beyond_release is None:
            continue
        old = before.arms.get(name, Arm())
        if arm.beyond_release != old.beyond_release or greatest_planned_share(arm) > greatest_planned_share(old):
            share = greatest_planned_share(arm)
            what = f"arms.{name}: a share of {share:g}, whatever release {arm.beyond_release} allows"
            yield Meaning(what, always=True)
    if beyond := {name: arm.beyond_release for name, arm in before.arms.items() if arm.beyond_release is not None}:
        new = [rule.name for rule in after.rules if _gives(rule, beyond) and rule not in before.rules]
        if after.fallback_arm in beyond and after.fallback_arm != before.fallback_arm:
            new.append("fallback_arm")
        for what in new:
            yield Meaning(f"{what!r} gives an arm more than its release allows", always=True)


def _gives(rule: Rule, arms: Mapping[str, int | None]) -> bool:
    return any(getattr(effect, "arm", None) in arms for effect in rule.then)


def _addresses(before: Content, after: Content, vouched: Addresses) -> Iterator[Meaning]:
    for name, arm in after.arms.items():
        known = {*before.arms.get(name, Arm()).upstreams, *vouched.get(name, ())}
        for url in arm.upstreams:
            if url not in known:
                yield Meaning(f"arms.{name}.upstreams: {url} is new")


def _of_arm(old: Arm, new: Arm) -> Iterator[str]:
    for name in Arm.__struct_fields__:
        if getattr(old, name) != getattr(new, name):
            yield f"{name}: {_shown(getattr(old, name))} -> {_shown(getattr(new, name))}"


def _of_rules(old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[str]:
    before, after = ({rule.name: rule for rule in rules} for rules in (old, new))
    yield from (f"rule {name!r} added" for name in after if name not in before)
    yield from (f"rule {name!r} removed" for name in before if name not in after)
    yield from (f"rule {name!r} changed" for name in after if name in before and after[name] != before[name])
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield "rules in another order"


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
