"""Signatures under a change of the parameters: what approvers sign, the line they hand on, and whether a version is covered.

Whoever can write to the lake but holds no key can stop, lower and refuse, and change no answer: each reader compares a version
with the one it went by, and follows none that changes the meaning of answers without the signatures that the policy asks for.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from lake.documents import StrictDocument, canonical
from lake.errors import SettingError, VerificationError
from lake.parameters.changes import Addresses, Meaning, changes_of_meaning
from lake.parameters.document import Content, Parameters, content_of
from lake.release.decision import RiskTier
from lake.release.ledger import CLOCK_TOLERANCE
from lake.release.policy import Policy
from lake.release.signatures import ApproverKey, merged, opened
from lake.release.trust import Trust
from lake.times import rfc3339, utc

PARAMETERS_TYPE = "application/vnd.trainserve.parameters+json"
PREFIX = "trainserve-parameters1."


class Proposal(StrictDocument, frozen=True, kw_only=True):
    """What approvers sign: this content, for this use case, as the change of this version, recorded until `sign_by_utc`.

    As it names the version that it changes, it counts once.
    """

    use_case: str
    after_version: int
    content: Content
    why: str
    policy_digest: str
    sign_by_utc: str


class Signed(msgspec.Struct, frozen=True):
    """A proposal, unverified, and the envelope with the signatures under it."""

    proposal: Proposal
    envelope: dict[str, Any]


class Judge(msgspec.Struct, frozen=True):
    """What a version is judged by: whom this machine trusts, how much hangs on the use case, and the moment.

    `vouched` are the addresses that this machine was given itself, by arm.
    """

    trust: Trust
    tier: RiskTier
    now: datetime
    vouched: Addresses = {}

    def check(self, before: Parameters, after: Parameters) -> tuple[str, ...]:
        """Who signed the step from one version to the next. Raises VerificationError when it is not covered."""
        what = f"version {after.version} of the parameters of {after.use_case!r}"
        self._check_time(before, after, what)
        signers: frozenset[str] = frozenset()
        if after.proposal is not None:
            signers = self._signers(before, after, what)
        lacking = self.lacking(before, after, len(signers))
        if lacking:
            raise VerificationError(what, lacking, "the signatures of approvers under that (`trainserve parameters sign`)")
        return tuple(sorted(signers))

    def lacking(self, before: Content, after: Content, signatures: int) -> str:
        """What a change lacks to be followed, naming all in it that is to be signed; empty where it lacks nothing."""
        meaning = changes_of_meaning(before, after, self.vouched)
        needed = self.needed(meaning)
        if signatures >= needed:
            return ""
        found = "; ".join(one.what for one in meaning)
        return f"{found}: {signatures} of {needed} signatures"

    def needed(self, meaning: Sequence[Meaning]) -> int:
        """How many approvers must sign: as many as under the approval of a champion."""
        if not meaning:
            return 0
        asked = self.policy.needed("approve", "champion", self.tier)
        return max(asked, 1) if any(one.always for one in meaning) else asked

    @property
    def policy(self) -> Policy:
        """The policy in force at this moment."""
        return self.trust.policy_at(self.now).policy

    def _check_time(self, before: Parameters, after: Parameters, what: str) -> None:
        """Raises VerificationError for a version from before the one that it changes, or from the future."""
        at = _moment(after, what)
        if before.changed_at_utc is not None and at is not None and at < utc(before.changed_at_utc):
            raise VerificationError(what, f"the time {after.changed_at_utc}", f"one not before {before.changed_at_utc}")
        if at is not None and at > self.now + CLOCK_TOLERANCE:
            raise VerificationError(what, f"the time {after.changed_at_utc}", f"one not after {rfc3339(self.now)}")

    def _signers(self, before: Parameters, after: Parameters, what: str) -> frozenset[str]:
        moment = _moment(after, what)
        if moment is None:
            raise VerificationError(what, "signatures without a time", "changed_at_utc: keys are judged at a moment")
        version = self.trust.policy_at(moment)
        keys = version.policy.keys_at(moment)
        payload, keyids = opened(after.proposal, PARAMETERS_TYPE, {keyid: key for keyid, (_, key) in keys.items()}, what)
        proposal = read_proposal(payload, what)
        signed = (proposal.use_case, proposal.after_version, proposal.content, proposal.why)
        if signed != (after.use_case, before.version, content_of(after), after.why):
            found = f"a signature under another change, of version {proposal.after_version} of {proposal.use_case!r}"
            raise VerificationError(what, found, f"one under this very change of version {before.version}")
        if proposal.policy_digest != version.digest:
            raise VerificationError(what, f"policy {proposal.policy_digest[:12]}", f"{version.digest[:12]}, in force then")
        if utc(proposal.sign_by_utc) < moment:
            raise VerificationError(
                what, f"a record of {after.changed_at_utc}", f"one before its sign_by_utc, {proposal.sign_by_utc}"
            )
        people = [keys[keyid][0] for keyid in keyids]
        return frozenset(one.name for one in people if one.may_decide(after.use_case, "champion"))


def sign_proposal(proposal: Proposal, key: ApproverKey, others: Signed | None = None) -> dict[str, Any]:
    """The envelope around a proposal with this signature, and with those of others under the very same."""
    mine = key.seal(canonical(proposal), PARAMETERS_TYPE)
    return mine if others is None else merged([others.envelope, mine])


def read_proposal(payload: bytes, what: str) -> Proposal:
    """The proposal in signed bytes. Raises VerificationError."""
    try:
        proposal = msgspec.json.decode(payload, type=Proposal)
        utc(proposal.sign_by_utc)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise VerificationError(what, f"unreadable ({error})", "a signed change of parameters") from error
    return proposal


def line_of(envelope: dict[str, Any]) -> str:
    """An envelope as one line to hand on."""
    return PREFIX + base64.urlsafe_b64encode(canonical(envelope)).decode().rstrip("=")


def read_lines(lines: Sequence[str]) -> Signed | None:
    """What was signed, with all signatures in one envelope; None without a line. Raises SettingError, VerificationError."""
    if not lines:
        return None
    envelope = merged([_envelope("".join(line.split())) for line in lines])
    return Signed(read_proposal(base64.b64decode(envelope["payload"]), "the signed change"), envelope)


def _envelope(line: str) -> dict[str, Any]:
    expected = f"a line of `trainserve parameters sign`, which begins with {PREFIX}"
    text = line.removeprefix(PREFIX)
    try:
        read = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        kept = [{"keyid": str(one["keyid"]), "sig": str(one["sig"])} for one in read["signatures"]]
        base64.b64decode(read["payload"], validate=True)
        envelope = {"payload": read["payload"], "payloadType": read["payloadType"], "signatures": kept}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, KeyError, TypeError, ValueError) as error:
        raise SettingError("a signature", line[:40], f"{expected} ({error})") from error
    if not line.startswith(PREFIX) or not kept:
        raise SettingError("a signature", line[:40], expected)
    return envelope


def _moment(document: Parameters, what: str) -> datetime | None:
    try:
        return None if document.changed_at_utc is None else utc(document.changed_at_utc)
    except ValueError as error:
        raise VerificationError(what, f"the time {document.changed_at_utc!r}", "a moment in UTC") from error
