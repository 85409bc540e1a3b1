"""Recording a decision: everything is verified in order, then one event is appended.

Nothing here reads Dagster's events, which anyone who reaches the webserver can forge: only the run's own tags, the
lake and the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from checks.release_standard import standard_digest
from lake.decision import Decision, DecisionKind, Role, Waiver
from lake.evaluation import Evaluation, read_evaluation
from lake.ledger import Entry
from lake.package import open_package
from lake.releases import Live, Release, fold
from lake.signatures import PlatformKey, random_nonce
from lake.times import rfc3339, utc
from lake.trust import Trust
from trainserve_assets import requirements
from trainserve_assets.pasted import Pasted, read_pasted
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import launcher
from trainserve_assets.use_case import UseCase


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an approver asks for, as the run's config says it; `signatures` are lines of `trainserve sign`."""

    evaluation_id: str
    decision: DecisionKind
    role: Role
    arm: str
    approver: str
    reason: str
    greatest_share: float | None = None
    expires_at_utc: str | None = None
    waivers: tuple[Waiver, ...] = ()
    signatures: tuple[str, ...] = ()


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How the run that asks was launched: its tags, and whether it does nothing but this."""

    tags: Mapping[str, str]
    alone: bool


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided on, as the lake has it, and the approval that a roll back returns to."""

    package_digest: str
    model_version: str
    trainer: str
    returns_to: Release | None = None


def record(lake: LakeResource, use_case: UseCase, request: Request, launch: Launch, at_utc: datetime) -> Entry | None:
    """Verify everything, then append the event; returns it, or None when just this is live already.

    Raises ReleaseRefused, NotFound or VerificationError, and then nothing was appended; Conflict when another
    decision was recorded in the same moment.
    """
    requirements.check_launched_by_hand(launch.tags, alone=launch.alone)
    requirements.check_words(request.approver, request.reason, request.arm)
    pasted = read_pasted(request.signatures)
    requirements.check_clock(lake.store, use_case.name, at_utc)
    key = PlatformKey.read_or_make(lake.home.keys)
    ledger = lake.ledger(use_case.name)
    trust = Trust.read(lake.home)
    requirements.check_no_policy_waits(trust, at_utc)
    wanted = _wanted(request, pasted)
    subject = _verified(lake, use_case, wanted, ledger.entries, at_utc)
    if _live_already(fold(ledger.entries), wanted):
        return None
    decision = _decision(use_case, wanted, subject, trust, at_utc, pasted)
    if pasted is not None:
        pasted.check_covers(decision)
    requirements.check_policy(trust, decision, pasted, at_utc)
    # What was verified was verified against this very ledger: an event that came between makes this one a Conflict.
    envelope = None if pasted is None else pasted.envelope
    return ledger.append(decision, launcher(launch.tags), rfc3339(at_utc), key, envelope)


def _wanted(request: Request, pasted: Pasted | None) -> Request:
    """The request, completed by what was signed where the config leaves it out."""
    if pasted is None:
        return request
    signed = pasted.decision
    return msgspec.structs.replace(
        request,
        greatest_share=signed.greatest_share if request.greatest_share is None else request.greatest_share,
        expires_at_utc=request.expires_at_utc or signed.expires_at_utc,
        waivers=request.waivers or signed.waivers,
    )


def _decision(
    use_case: UseCase, request: Request, subject: Subject, trust: Trust, at_utc: datetime, pasted: Pasted | None
) -> Decision:
    """The decision as this request and the lake make it; its nonce and the time to sign by are the signers' to choose."""
    former = subject.returns_to
    share = 1.0 if former is None else former.greatest_share
    version = trust.policy_at(at_utc)
    decision = Decision(
        use_case=use_case.name,
        decision=request.decision,
        role=request.role,
        arm=request.arm,
        package_digest=subject.package_digest,
        evaluation_id=request.evaluation_id,
        release_standard_digest=standard_digest(use_case.release_standard),
        policy_digest=version.digest,
        approver=request.approver.strip(),
        reason=request.reason.strip(),
        nonce=random_nonce() if pasted is None else pasted.decision.nonce,
        model_version=subject.model_version,
        trainer=subject.trainer,
        risk_tier=use_case.risk_tier,
        greatest_share=share if request.greatest_share is None else request.greatest_share,
        waivers=request.waivers,
        expires_at_utc=request.expires_at_utc,
        sign_by_utc=None if pasted is None else pasted.decision.sign_by_utc,
    )
    if decision.expires_at_utc is not None or pasted is not None:
        return decision
    return msgspec.structs.replace(decision, expires_at_utc=rfc3339(version.policy.expiry_of(decision, at_utc)))


def _verified(lake: LakeResource, use_case: UseCase, request: Request, entries: Sequence[Entry], at_utc: datetime) -> Subject:
    """What is decided on, once all that this decision requires of evaluation, package and arm holds.

    A revocation requires the least: it must also work when evaluation or package are gone.
    """
    if request.decision == "revoke":
        approval = requirements.find_released(lake, use_case, request.evaluation_id, entries)
        return Subject(package_digest=approval.package_digest, model_version=approval.model_version, trainer=approval.trainer)
    evaluation = read_evaluation(lake.home.lake, use_case.name, request.evaluation_id)
    subject = _subject(evaluation)
    if request.decision == "reject":
        return subject
    live = fold(entries)
    if request.decision == "approve":
        requirements.check_current(lake, use_case, evaluation, request.role, live)
    open_package(lake.store, use_case.name, evaluation.package_digest)
    requirements.check_arm(request.arm, request.role, live)
    if request.decision == "roll back":
        former = requirements.find_earlier_approval(entries, evaluation.package_digest, request.arm, request.role, at_utc)
        return msgspec.structs.replace(subject, returns_to=former)
    requirements.check_gates(use_case.release_standard, evaluation, request.waivers, at_utc)
    return subject


def _subject(evaluation: Evaluation) -> Subject:
    return Subject(package_digest=evaluation.package_digest, model_version=evaluation.model_version, trainer=evaluation.trainer)


def _live_already(live: Live, request: Request) -> bool:
    """Whether just this is live: the same evaluation in the same role, for no other term and share than asked for."""
    release = live.on(request.arm)
    if request.decision not in ("approve", "roll back") or release is None or request.signatures:
        return False
    same_share = request.greatest_share in (None, release.greatest_share)
    same_term = request.expires_at_utc is None or (
        release.expires_at_utc is not None and utc(request.expires_at_utc) == utc(release.expires_at_utc)
    )
    return (release.role, release.evaluation_id) == (request.role, request.evaluation_id) and same_share and same_term
