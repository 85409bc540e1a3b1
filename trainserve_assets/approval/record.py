"""Recording a decision: everything is verified in order, then one event is appended.

Nothing here reads Dagster's events, which anyone who reaches the webserver can forge: only the run's own tags, the
lake and the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from lake.evaluation import read_evaluation
from lake.package import open_package
from lake.release.ledger import Entry
from lake.release.live import Live, fold
from lake.release.signatures import PlatformKey
from lake.release.trust import Trust
from lake.times import rfc3339
from trainserve_assets.approval import requirements
from trainserve_assets.approval.draft import Request, Subject, draft, subject_of
from trainserve_assets.approval.pasted import Pasted, read_pasted
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import launcher
from trainserve_assets.use_case import UseCase


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How the run that asks was launched: its tags, and whether it does nothing but this."""

    tags: Mapping[str, str]
    alone: bool


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
    trust = Trust.read(lake.home)
    requirements.check_no_policy_waits(trust, at_utc)
    ledger = lake.ledger(use_case.name)
    requirements.check_not_recorded(ledger.entries, pasted)
    wanted = _wanted(request, pasted)
    requirements.check_waives(wanted.decision, wanted.waivers)
    subject = verified(lake, use_case, wanted, ledger.entries, at_utc)
    if _live_already(fold(ledger.entries), wanted):
        return None
    policy = trust.policy_at(at_utc)
    if pasted is None:
        decision = draft(use_case, wanted, subject, policy, at_utc)
    else:
        signed = pasted.decision
        decision = draft(use_case, wanted, subject, policy, at_utc, nonce=signed.nonce, sign_by_utc=signed.sign_by_utc)
        pasted.check_covers(decision)
    requirements.check_terms(decision, at_utc)
    signers = requirements.find_signers(policy, pasted, at_utc)
    requirements.check_policy(policy, decision, signers)
    # What was verified was verified against this very ledger: an event that came between makes this one a Conflict.
    return ledger.append(decision, launcher(launch.tags), rfc3339(at_utc), key, None if pasted is None else pasted.envelope)


def verified(lake: LakeResource, use_case: UseCase, request: Request, entries: Sequence[Entry], at_utc: datetime) -> Subject:
    """What is decided on, once all that this decision requires of evaluation, package, gates and arm holds.

    A revocation requires the least: it must also work when evaluation or package are gone.
    """
    if request.decision == "revoke":
        released = requirements.find_released(lake, use_case, request.evaluation_id, entries)
        requirements.check_revoked_role(released.package_digest, request.role, fold(entries))
        return subject_of(released)
    evaluation = read_evaluation(lake.home.lake, use_case.name, request.evaluation_id)
    subject = subject_of(evaluation)
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


def _live_already(live: Live, request: Request) -> bool:
    """Whether just this is live: the same evaluation in the same role, for no other term and share than asked for."""
    release = live.on(request.arm)
    if request.decision not in ("approve", "roll back") or release is None or request.signatures:
        return False
    same_share = request.greatest_share in (None, release.greatest_share)
    same_term = request.expires_at_utc in (None, release.expires_at_utc)
    return (release.role, release.evaluation_id) == (request.role, request.evaluation_id) and same_share and same_term
