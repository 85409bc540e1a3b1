"""The next version of the policy, as one person proposes it on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from lake.errors import SettingError
from lake.release.decision import RiskTier, Role
from lake.release.policy import Approver, Key, Policy, PolicyVersion, Tier

Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What is to change.

    Parameters
    ----------
    add
        `NAME=PUBLIC_KEY`: a new approver, or a new key of one, whose older keys end.
    retire
        The name of an approver whose keys end. What they signed while valid stays valid.
    roles_of
        `NAME=ROLE,ROLE`: the only roles that an approver decides on.
    use_cases_of
        `NAME=USE_CASE,USE_CASE`: the only use cases that an approver decides on; `*` is all.
    needs
        `ROLE=SIGNATURES`: how many signatures an approval in this role needs, as `champion=2`.
    tier
        `TIER=SIGNATURES,DAYS`: how many it needs, and how long it lasts, for use cases of this risk tier, as `high=2,90`.
    quorum
        How many approvers must sign the version after this one.
    expired
        What predictors do with a release whose time is over.
    platform_key
        The public key that signs events from now on; those listed before end.

    """

    add: Sequence[str] = ()
    retire: Sequence[str] = ()
    roles_of: Sequence[str] = ()
    use_cases_of: Sequence[str] = ()
    needs: Sequence[str] = ()
    tier: Sequence[str] = ()
    quorum: int | None = None
    expired: Literal["serve", "refuse"] | None = None
    platform_key: str | None = None


def proposed(before: PolicyVersion, proposal: Proposal, moment: datetime) -> Policy:
    """The version after this one, in force from this moment. Raises SettingError naming the option that is wrong."""
    policy = before.policy
    platform = policy.platform
    if proposal.platform_key is not None:
        platform = (*_ended(platform, moment), Key(public_key=proposal.platform_key, valid_from_utc=moment))
    tiers = (_read("--tier", text, "TIER=SIGNATURES,DAYS", tuple[RiskTier, int, int]) for text in proposal.tier)
    return Policy(
        version=policy.version + 1,
        valid_from_utc=moment,
        previous=before.digest if policy.version else None,
        quorum=policy.quorum if proposal.quorum is None else proposal.quorum,
        approvers=_people(policy, proposal, moment),
        roles=policy.roles | dict(_read("--needs", text, "ROLE=SIGNATURES", tuple[Role, int]) for text in proposal.needs),
        tiers=policy.tiers | {name: Tier(signatures=count, lasts_days=days) for name, count, days in tiers},
        expired=proposal.expired or policy.expired,
        platform=platform,
    )


def _people(policy: Policy, proposal: Proposal, moment: datetime) -> tuple[Approver, ...]:
    people = {approver.name: approver for approver in policy.approvers}

    def known(option: str, name: str) -> Approver:
        if name not in people:
            raise SettingError(option, name, f"one of {sorted(people)}")
        return people[name]

    for name in proposal.retire:
        person = known("--retire", name)
        people[name] = msgspec.structs.replace(person, keys=_ended(person.keys, moment))
    for text in proposal.add:
        name, public = _pair("--add", text, "NAME=PUBLIC_KEY")
        person = people.get(name, Approver(name=name))
        key = Key(public_key=public, valid_from_utc=moment)
        people[name] = msgspec.structs.replace(person, keys=(*_ended(person.keys, moment), key))
    for text in proposal.roles_of:
        name, roles = _pair("--roles-of", text, "NAME=ROLE,ROLE")
        chosen = _converted("--roles-of", text, "roles: champion, challenger, shadow", roles.split(","), tuple[Role, ...])
        people[name] = msgspec.structs.replace(known("--roles-of", name), roles=chosen)
    for text in proposal.use_cases_of:
        name, use_cases = _pair("--use-cases-of", text, "NAME=USE_CASE,USE_CASE")
        people[name] = msgspec.structs.replace(known("--use-cases-of", name), use_cases=tuple(use_cases.split(",")))
    return tuple(people.values())


def _ended(keys: Sequence[Key], moment: datetime) -> tuple[Key, ...]:
    """The keys, each ending at this moment unless it ended before."""
    return tuple(msgspec.structs.replace(key, valid_until_utc=min(moment, key.valid_until_utc or moment)) for key in keys)


def _read(option: str, text: str, form: str, accepted: type[Read]) -> Read:
    name, values = _pair(option, text, form)
    return _converted(option, text, form, [name, *values.split(",")], accepted)


def _pair(option: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise SettingError(option, text, form)
    return name, value


def _converted(option: str, text: str, form: str, values: Sequence[str], accepted: type[Read]) -> Read:
    try:
        return msgspec.convert(values, accepted, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(option, text, f"{form} ({error})") from error
