"""The policy: who may decide, how many signatures that takes, how long a release lasts. Its rules are pure.

A machine without `approvers.yaml` goes by `BUILT_IN`: anybody but the trainer may decide, and names are claimed, not
signed. Each later version stands in that file (`lake.release.approvers`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from securesystemslib.signer import SSlibKey

from lake.documents import StrictDocument, canonical, sha256
from lake.errors import SettingError
from lake.misread import misread
from lake.release.decision import Decision, DecisionKind, RiskTier, Role
from lake.release.signatures import public_key, public_text
from lake.times import utc

Moment = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=100)]
Name = Annotated[str, Meta(pattern=r"^\S(.*\S)?\Z")]
ANY = "*"


class Key(StrictDocument, frozen=True, kw_only=True):
    """A public key (base64 of its 32 bytes), and when what it signs counts: from the first moment until the last, if any."""

    public_key: str
    valid_from_utc: Moment
    valid_until_utc: Moment | None = None

    def __post_init__(self) -> None:
        try:
            public_key(self.public_key)
        except ValueError as error:
            raise SettingError("public_key", self.public_key, "base64 of the 32 bytes of an Ed25519 public key") from error

    @property
    def opened(self) -> SSlibKey:
        """The key, to verify with; its id is the digest of its content."""
        return public_key(self.public_key)

    def valid_at(self, moment: datetime) -> bool:
        """Whether a signature of this moment counts."""
        return self.valid_from_utc <= moment and (self.valid_until_utc is None or moment < self.valid_until_utc)


class Approver(StrictDocument, frozen=True, kw_only=True):
    """A person who decides: for which use cases ("*": all) and roles. `logins` are the names an identity proxy gives them."""

    name: Name
    keys: tuple[Key, ...] = ()
    use_cases: tuple[str, ...] = (ANY,)
    roles: tuple[Role, ...] = ("champion", "challenger", "shadow")
    logins: tuple[Name, ...] = ()

    def may_decide(self, use_case: str, role: Role) -> bool:
        """Whether they may decide on this role of this use case."""
        return role in self.roles and not {ANY, use_case}.isdisjoint(self.use_cases)

    def is_called(self, name: str) -> bool:
        """Whether this is their name or one of their logins, whatever the case of its letters."""
        return name.strip().casefold() in {other.casefold() for other in (self.name, *self.logins)}


class Tier(StrictDocument, frozen=True, kw_only=True):
    """What a use case's risk asks for: signatures under an approval, and after how many days a release expires."""

    signatures: Count
    lasts_days: Annotated[int, Meta(ge=1, le=3650)]


TIERS: dict[RiskTier, Tier] = {
    "low": Tier(signatures=0, lasts_days=365),
    "medium": Tier(signatures=0, lasts_days=180),
    "high": Tier(signatures=1, lasts_days=90),
}


class Policy(StrictDocument, frozen=True, kw_only=True):
    """One version of who may decide. It is in force from `valid_from_utc` until the next version is.

    `previous` is the digest of the version before. `quorum` is how many approvers of this version must sign the next one.
    `roles` says how many signatures an approval in a role needs; a use case's tier may ask for more. `platform` lists the
    keys that sign events; without any, those in `keys/trusted` do. `expired` says what a predictor does with a release
    whose time is over: serve it with an alarm, or refuse.
    """

    version: Annotated[int, Meta(ge=0)]
    valid_from_utc: Moment
    previous: str | None = None
    quorum: Annotated[int, Meta(ge=1)] = 1
    approvers: tuple[Approver, ...] = ()
    roles: dict[Role, Count] = msgspec.field(default_factory=dict)
    tiers: dict[RiskTier, Tier] = msgspec.field(default_factory=lambda: dict(TIERS))
    expired: Literal["serve", "refuse"] = "serve"
    platform: tuple[Key, ...] = ()

    def __post_init__(self) -> None:
        names = [name for approver in self.approvers for name in {one.casefold() for one in (approver.name, *approver.logins)}]
        keys = [public_text(key.opened) for keys in (*(one.keys for one in self.approvers), self.platform) for key in keys]
        for kind, values in (("name or login", names), ("public_key", keys)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise SettingError(
                    f"{kind} of an approver", twice[0], "one that is listed once: nobody else has it, nor the platform"
                )
        lasting = [approver for approver in self.approvers if any(key.valid_until_utc is None for key in approver.keys)]
        if self.version and self.quorum > len(lasting):
            raise SettingError("quorum", self.quorum, f"at most {len(lasting)}: so many approvers have keys that last")
        for role, count in self.roles.items():
            able = sum(role in approver.roles for approver in lasting)
            if count > able:
                raise SettingError(f"signatures for a {role}", count, f"at most {able}: so many approvers may give one")
        missing = sorted({"low", "medium", "high"} - set(self.tiers))
        if missing:
            raise SettingError("tiers", sorted(self.tiers), f"also {missing}")

    def needed(self, kind: DecisionKind, role: Role, tier: RiskTier) -> int:
        """How many approvers must sign. In an incident one is enough: only an approval asks for all of them.

        A revocation takes a package off every arm, whatever role it names: it asks for what the strictest role does.
        """
        by_role = max([*self.roles.values(), 0]) if kind == "revoke" else self.roles.get(role, 0)
        asked = max(by_role, self.tiers[tier].signatures)
        return asked if kind == "approve" else min(asked, 1)

    def find(self, name: str) -> Approver | None:
        """The approver of this name or login."""
        return next((approver for approver in self.approvers if approver.is_called(name)), None)

    def keys_at(self, moment: datetime) -> dict[str, tuple[Approver, SSlibKey]]:
        """The approvers' keys that count at this moment, by their ids."""
        return {
            key.opened.keyid: (approver, key.opened)
            for approver in self.approvers
            for key in approver.keys
            if key.valid_at(moment)
        }

    def expiry_of(self, decision: Decision, at_utc: datetime) -> datetime:
        """When what is approved now stops: at its own term, its waivers' or its tier's, whichever is first."""
        terms = [decision.expires_at_utc, *(waiver.expires_at_utc for waiver in decision.waivers)]
        longest = at_utc + timedelta(days=self.tiers[decision.risk_tier].lasts_days)
        return min([longest, *(utc(term) for term in terms if term is not None)])

    def problems(self, decision: Decision, signers: frozenset[str]) -> Iterator[str]:
        """Why this decision may not stand, given the names of the approvers who signed it; nothing when it may."""
        needed = self.needed(decision.decision, decision.role, decision.risk_tier)
        if needed and not self.approvers:
            yield (
                f"risk tier {decision.risk_tier!r} needs {_signatures(needed)}, and there is no approvers.yaml: "
                "make one with `trainserve keys new` and `trainserve approvers propose`"
            )
            return
        for name in sorted({decision.approver, *signers}):
            approver = self.find(name)
            if approver is None and self.approvers:
                known = ", ".join(one.name for one in self.approvers)
                yield f"{name!r} is not an approver; the policy names {known}"
            elif approver is not None and not approver.may_decide(decision.use_case, decision.role):
                yield f"{name!r} may not decide on a {decision.role} of {decision.use_case!r}"
        if len(signers) < needed:
            yield f"it needs {_signatures(needed)} of approvers and has {len(signers)}"
        if signers and not any(self._is(decision.approver, signer) for signer in signers):
            yield f"{decision.approver!r} decides but did not sign; {', '.join(sorted(signers))} did"
        if decision.decision == "approve" and all(self._is(decision.trainer, name) for name in signers or {decision.approver}):
            yield f"{decision.trainer!r} trained this candidate and cannot approve it alone: ask somebody else"

    def _is(self, name: str, other: str) -> bool:
        """Whether two names are the same person's."""
        approver = self.find(name)
        return name.strip().casefold() == other.strip().casefold() or (approver is not None and approver.is_called(other))


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A policy with the digest that decisions name it by, taken over its text as it was written."""

    policy: Policy
    digest: str


def policy_version(written: Any) -> PolicyVersion:
    """A policy from what a file holds. Raises SettingError naming what is wrong."""
    try:
        policy = msgspec.convert(written, Policy)
    except msgspec.ValidationError as error:
        raise SettingError("a policy in approvers.yaml", misread(error), "the fields that docs/releasing.md lists") from error
    return PolicyVersion(policy=policy, digest=sha256(canonical(written)))


def _signatures(count: int) -> str:
    return "1 signature" if count == 1 else f"{count} signatures"


BUILT_IN = policy_version({"version": 0, "valid_from_utc": "1970-01-01T00:00:00Z"})
