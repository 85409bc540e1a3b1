"""The release ledger once more, as plainly as it can be said: what may be recorded, and what may be live afterwards."""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec

from lake.release.decision import Decision, Role
from lake.release.policy import PolicyVersion
from lake.release.signatures import public_text
from lake.times import utc
from tests.approvers import Person

Place = tuple[str, str, Role]


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event, with what the policy of its time asked for."""

    decision: Decision
    at: datetime
    signers: frozenset[str]
    needed: int
    expires: datetime
    digest: str

    @property
    def place(self) -> Place:
        """What is served where, and as what."""
        return self.decision.package_digest, self.decision.arm, self.decision.role


class Model:
    """The policies that count, oldest first, and the journal of what was accepted."""

    def __init__(self, first: PolicyVersion) -> None:
        self.policies = [first]
        self.journal: list[Recorded] = []

    def policy_at(self, moment: datetime) -> PolicyVersion:
        """The last one in force."""
        return max(
            (one for one in self.policies if one.policy.valid_from_utc <= moment), key=lambda one: one.policy.valid_from_utc
        )

    def signatures_that_count(self, signers: Collection[Person], at: datetime) -> frozenset[str]:
        """The names of those whose key the policy lists for this moment."""
        listed = {
            key.public_key: approver.name
            for approver in self.policy_at(at).policy.approvers
            for key in approver.keys
            if key.valid_from_utc <= at and (key.valid_until_utc is None or at < key.valid_until_utc)
        }
        public = {public_text(person.key.public) for person in signers}
        return frozenset(name for key, name in listed.items() if key in public)

    def recorded(self, decided: Decision, signers: Collection[Person], at: datetime, digest: str = "") -> Recorded:
        """The decision as an entry of the journal."""
        policy = self.policy_at(at).policy
        roles = [decided.role] if decided.decision != "revoke" else list(policy.roles)
        needed = max([policy.tiers[decided.risk_tier].signatures, *(policy.roles.get(role, 0) for role in roles)])
        terms = [at + timedelta(days=policy.tiers[decided.risk_tier].lasts_days)]
        if decided.expires_at_utc is not None:
            terms.append(utc(decided.expires_at_utc))
        return Recorded(
            decision=decided,
            at=at,
            signers=self.signatures_that_count(signers, at),
            needed=needed if decided.decision == "approve" else min(needed, 1),
            expires=min(terms),
            digest=digest,
        )

    def objections(self, decided: Decision, signers: Collection[Person], at: datetime, now: datetime) -> dict[str, bool]:
        """Every reason not to record this now as of this moment, and whether it holds."""
        version = self.policy_at(at)
        asked = self.recorded(decided, signers, at)
        may = {
            approver.name
            for approver in version.policy.approvers
            if decided.role in approver.roles and not {"*", decided.use_case}.isdisjoint(approver.use_cases)
        }
        return {
            "the clock is ahead": at > now + timedelta(minutes=5),
            "the clock is behind": any(at < one.at for one in self.journal),
            "another policy": decided.policy_digest != version.digest,
            "no signature counts": bool(signers) and not asked.signers,
            "somebody may not decide": not may.issuperset(asked.signers | {decided.approver}),
            "too few signatures": len(asked.signers) < asked.needed,
            "the approver did not sign": bool(asked.signers) and decided.approver not in asked.signers,
            "their own model": decided.decision == "approve" and (asked.signers or {decided.approver}) == {decided.trainer},
            "signed too long ago": decided.sign_by_utc is not None and utc(decided.sign_by_utc) < at,
            "recorded before": any(decided.nonce == one.decision.nonce for one in self.journal),
            "over at once": decided.decision in ("approve", "roll back") and asked.expires <= at,
        }

    def approvals(self, seq: int) -> dict[Place, Recorded]:
        """After the event of this number: the newest approval of each place, without those of packages revoked since."""
        found: dict[Place, Recorded] = {}
        for one in self.journal[:seq]:
            if one.decision.decision == "approve":
                found[one.place] = one
            elif one.decision.decision == "revoke":
                found = {place: kept for place, kept in found.items() if place[0] != one.place[0]}
        return found
