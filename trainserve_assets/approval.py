"""What must hold before a decision is recorded, requirement by requirement, and the recording of it.

Nothing here reads Dagster's events, which anyone who reaches the webserver can forge: only the run's own tags, the
lake and the ledger.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

import msgspec

from checks.release_standard import Gate, decide, standard_digest
from lake.documents import canonical, sha256
from lake.errors import ReleaseRefused
from lake.evaluation import Evaluation, evaluations, read_evaluation
from lake.ledger import Decision, DecisionKind, Entry, Role
from lake.package import open_package
from lake.releases import Live, fold, next_version
from lake.signatures import PlatformKey, random_nonce
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import UNATTENDED, automation, launcher
from trainserve_assets.use_case import UseCase
from trainserve_assets.versions import released_version

# Who may decide, in the words that a decision's digest covers. Approvers are claimed, and the platform alone signs.
POLICY = {"approvers": "anyone but the trainer", "signed_by": "the platform"}
ARM = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What an approver asks for, as the run's config says it."""

    evaluation_id: str
    decision: DecisionKind
    role: Role
    arm: str
    approver: str
    reason: str


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How the run that asks was launched: its tags, and whether it does nothing but this."""

    tags: Mapping[str, str]
    alone: bool


def record(lake: LakeResource, use_case: UseCase, request: Request, launch: Launch, at_utc: datetime) -> Entry | None:
    """Verify everything, then append the event; returns it, or None when just this is live already.

    Raises ReleaseRefused, NotFound or VerificationError, and then nothing was appended; Conflict when another
    decision was recorded in the same moment.
    """
    check_launched_by_hand(launch)
    check_words(request)
    key = PlatformKey.read_or_make(lake.home.keys)
    ledger = lake.ledger(use_case.name)
    package_digest, model_version = _verified(lake, use_case, request, ledger.entries)
    if _live_already(fold(ledger.entries), request):
        return None
    decision = Decision(
        use_case=use_case.name,
        decision=request.decision,
        role=request.role,
        arm=request.arm,
        package_digest=package_digest,
        evaluation_id=request.evaluation_id,
        release_standard_digest=standard_digest(use_case.release_standard),
        policy_digest=sha256(canonical(POLICY)),
        approver=request.approver.strip(),
        reason=request.reason.strip(),
        nonce=random_nonce(),
        model_version=model_version,
    )
    # What was verified was verified against this very ledger: an event that came between makes this one a Conflict.
    return ledger.append(decision, launcher(launch.tags), _rfc3339(at_utc), key)


def _verified(lake: LakeResource, use_case: UseCase, request: Request, entries: Sequence[Entry]) -> tuple[str, str]:
    """The package that is decided on and its version, once all that this decision requires holds.

    A revocation requires the least: it must also work when evaluation or package are gone.
    """
    if request.decision == "revoke":
        return find_released(lake, use_case, request, entries)
    evaluation = read_evaluation(lake.home.lake, use_case.name, request.evaluation_id)
    if request.decision == "reject":
        return evaluation.package_digest, evaluation.model_version
    live = fold(entries)
    if request.decision == "approve":
        check_current(lake, use_case, evaluation, request.role, live)
    open_package(lake.store, use_case.name, evaluation.package_digest)
    check_arm(request, live)
    if request.decision == "roll back":
        return evaluation.package_digest, find_earlier_approval(entries, evaluation, request).model_version
    check_gates(use_case.release_standard, evaluation)
    check_approver(request.approver, evaluation)
    return evaluation.package_digest, released_version(evaluation.model_version, next_version(entries))


def check_launched_by_hand(launch: Launch) -> None:
    """A person launches a release, and launches nothing with it."""
    what = automation(launch.tags)
    if what is not None:
        raise ReleaseRefused(f"this run was launched by {what}.", "Launch the release asset by hand, in its Launchpad.")
    if not launch.alone:
        raise ReleaseRefused("this run materializes other assets too.", "Select the release asset alone and launch it again.")


def check_words(request: Request) -> None:
    """Approver and reason are given, and the arm is a name that can stand in an address."""
    for name in ("approver", "reason"):
        if not getattr(request, name).strip():
            raise ReleaseRefused(f"{name} is empty.", f"Say {'who decides' if name == 'approver' else 'why'}.")
    if not ARM.fullmatch(request.arm):
        raise ReleaseRefused(f"arm {request.arm!r} is not a name.", "Use at most 40 of: a-z, 0-9, - and _, with a letter first.")


def check_current(lake: LakeResource, use_case: UseCase, evaluation: Evaluation, role: Role, live: Live) -> None:
    """The evaluation is the newest of its package, under today's standard, against the champion of this moment."""
    again = f"Materialize {use_case.name}/evaluation and decide on what it shows then."
    known = evaluations(lake.home.lake, use_case.name).filter(package_digest=evaluation.package_digest)
    newest = known.item(-1, "evaluation_id")
    if newest != evaluation.evaluation_id:
        raise ReleaseRefused(
            f"evaluation {evaluation.evaluation_id[:12]} is not the newest of its package, {newest[:12]} is.", again
        )
    if evaluation.release_standard_digest != standard_digest(use_case.release_standard):
        raise ReleaseRefused("the release standard has changed since this evaluation.", again)
    compared = {one.other_name for one in evaluation.differences if one.other == "champion"}
    now = set() if live.champion is None else {live.champion.package_digest}
    if role == "champion" and now - compared - {evaluation.package_digest}:
        raise ReleaseRefused("the evaluation does not compare with the champion that is live now.", again)


def check_gates(gates: Sequence[Gate], evaluation: Evaluation) -> None:
    """Every blocking gate passes, decided anew on the evaluation's figures."""
    failed = [verdict.reason for gate in gates if gate.blocking and not (verdict := decide(gate, evaluation)).passed]
    if failed:
        raise ReleaseRefused("; ".join(failed) + ".", "Train a better candidate, or reject this one.")


def check_approver(approver: str, evaluation: Evaluation) -> None:
    """Nobody approves what they trained. Who launched a training without a name in front is not known."""
    if evaluation.trainer not in (UNATTENDED, "") and approver.strip().casefold() == evaluation.trainer.casefold():
        raise ReleaseRefused(f"{approver!r} trained this candidate.", "Ask somebody else to decide.")


def check_arm(request: Request, live: Live) -> None:
    """The champion's arm is not taken by another role, which would leave nothing whose answer counts."""
    champion = live.champion
    if champion is not None and champion.arm == request.arm and request.role != "champion":
        raise ReleaseRefused(
            f"arm {request.arm!r} serves the champion, and a {request.role} would take its place.", "Choose another arm."
        )


def find_earlier_approval(entries: Sequence[Entry], evaluation: Evaluation, request: Request) -> Decision:
    """The approval that a roll back returns to: of this package on this arm in this role, and not revoked since."""
    for entry in reversed(entries):
        decision = entry.decision
        if decision.package_digest != evaluation.package_digest:
            continue
        if decision.decision == "revoke":
            raise ReleaseRefused(f"package {decision.package_digest[:12]} was revoked.", "Roll back to another one.")
        if decision.decision == "approve" and (decision.arm, decision.role) == (request.arm, request.role):
            return decision
    words = f"package {evaluation.package_digest[:12]} was never approved as {request.role} on arm {request.arm!r}."
    raise ReleaseRefused(words, "Choose an evaluation that was, or approve this one.")


def find_released(lake: LakeResource, use_case: UseCase, request: Request, entries: Sequence[Entry]) -> tuple[str, str]:
    """Package and version of what was approved on this evaluation, by the ledger; else of another one of its package."""
    approved = [entry.decision for entry in entries if entry.decision.decision == "approve"]
    for decision in reversed(approved):
        if decision.evaluation_id == request.evaluation_id:
            return decision.package_digest, decision.model_version
    evaluation = read_evaluation(lake.home.lake, use_case.name, request.evaluation_id)
    for decision in reversed(approved):
        if decision.package_digest == evaluation.package_digest:
            return decision.package_digest, decision.model_version
    raise ReleaseRefused(f"package {evaluation.package_digest[:12]} was never approved.", "To turn down a candidate, reject it.")


def _live_already(live: Live, request: Request) -> bool:
    release = live.on(request.arm)
    return (
        request.decision in ("approve", "roll back")
        and release is not None
        and (release.role, release.evaluation_id) == (request.role, request.evaluation_id)
    )


def _rfc3339(at_utc: datetime) -> str:
    return at_utc.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
