"""The draft of a decision: what is asked for, and the very statement that this makes of it, for signers and for the ledger."""

from datetime import datetime

import msgspec

from checks.release_standard import standard_digest
from lake.evaluation import Evaluation
from lake.release.decision import Decision, DecisionKind, Role, Waiver
from lake.release.live import Release
from lake.release.policy import PolicyVersion
from lake.release.signatures import random_nonce
from lake.times import rfc3339
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


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is decided on, as the lake has it, and the release that a roll back returns to."""

    package_digest: str
    model_version: str
    trainer: str
    returns_to: Release | None = None


def subject_of(of: Evaluation | Decision) -> Subject:
    """What this evaluation judges, or this decision was on."""
    return Subject(package_digest=of.package_digest, model_version=of.model_version, trainer=of.trainer)


def draft(
    use_case: UseCase,
    request: Request,
    subject: Subject,
    policy: PolicyVersion,
    at_utc: datetime,
    *,
    nonce: str | None = None,
    sign_by_utc: str | None = None,
) -> Decision:
    """The decision that this request makes: where it leaves the term or the share out, the widest that is allowed."""
    former = subject.returns_to
    share = 1.0 if former is None else former.greatest_share
    decision = Decision(
        use_case=use_case.name,
        decision=request.decision,
        role=request.role,
        arm=request.arm,
        package_digest=subject.package_digest,
        evaluation_id=request.evaluation_id,
        release_standard_digest=standard_digest(use_case.release_standard),
        policy_digest=policy.digest,
        approver=request.approver.strip(),
        reason=request.reason.strip(),
        nonce=nonce or random_nonce(),
        model_version=subject.model_version,
        trainer=subject.trainer,
        risk_tier=use_case.risk_tier,
        greatest_share=share if request.greatest_share is None else request.greatest_share,
        waivers=request.waivers,
        expires_at_utc=request.expires_at_utc,
        sign_by_utc=sign_by_utc,
    )
    if request.decision not in ("approve", "roll back") or request.expires_at_utc is not None:
        return decision
    return msgspec.structs.replace(decision, expires_at_utc=rfc3339(policy.policy.expiry_of(decision, at_utc)))
