"""What must hold before a decision is recorded: one function for each requirement, each refusing with one sentence."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import get_args

from checks.release_standard import Gate, decide, standard_digest
from lake.documents import DocumentStore
from lake.errors import ReleaseRefused, VerificationError
from lake.evaluation import Evaluation, evaluations, read_evaluation
from lake.release.decision import DECISION_TYPE, Decision, DecisionKind, Role, Waiver
from lake.release.ledger import CLOCK_TOLERANCE, Entry
from lake.release.live import Live, Release, fold
from lake.release.policy import PolicyVersion
from lake.release.signatures import opened
from lake.release.trust import Trust
from lake.times import rfc3339, utc
from trainserve_assets.approval.pasted import Pasted
from trainserve_assets.resources import LakeResource
from trainserve_assets.runs import automation
from trainserve_assets.use_case import UseCase

_SIGN_AGAIN = "Sign the decision again with `trainserve sign`, and paste the whole line."
_MINUTES_TO_COUNT = 120
ARM = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def check_launched_by_hand(tags: Mapping[str, str], *, alone: bool) -> None:
    """A person launches a release, and launches nothing with it."""
    what = automation(tags)
    if what is not None:
        raise ReleaseRefused(f"this run was launched by {what}.", "Launch the release asset by hand, in its Launchpad.")
    if not alone:
        raise ReleaseRefused("this run materializes other assets too.", "Select the release asset alone and launch it again.")


def check_words(approver: str, reason: str, arm: str) -> None:
    """Approver and reason are given, and the arm is a name that can stand in an address."""
    for name, value, missing in (("approver", approver, "who decides"), ("reason", reason, "why")):
        if not value.strip():
            raise ReleaseRefused(f"{name} is empty.", f"Say {missing}.")
    if not ARM.fullmatch(arm):
        raise ReleaseRefused(f"arm {arm!r} is not a name.", "Use at most 40 of: a-z, 0-9, - and _, with a letter first.")


def check_waives(decision: DecisionKind, waivers: Sequence[Waiver]) -> None:
    """Only an approval passes gates, so only an approval waives them."""
    if waivers and decision != "approve":
        raise ReleaseRefused(f"a decision to {decision} waives no gate.", "Take the waivers out.")


def check_clock(store: DocumentStore, use_case: str, at_utc: datetime) -> None:
    """The clock of this machine and that of the lake's storage agree: an event's time decides which keys count."""
    there = store.clock(f"{use_case}/clock")
    if abs(there - at_utc) > CLOCK_TOLERANCE:
        ahead = "ahead of" if at_utc > there else "behind"
        raise ReleaseRefused(
            f"this machine's clock says {rfc3339(at_utc)}, {_words(abs(at_utc - there))} {ahead} the lake's, {rfc3339(there)}.",
            "Set the clock that is wrong.",
        )


def check_not_recorded(entries: Sequence[Entry], pasted: Pasted | None) -> None:
    """What was signed was not recorded before: a signature is for one event."""
    for entry in entries:
        if pasted is not None and entry.decision.nonce == pasted.decision.nonce:
            raise ReleaseRefused(
                f"this very decision was recorded already, as event {entry.event.seq} of {entry.event.at_utc}.",
                "To decide so again, sign it again with `trainserve sign`.",
            )


def check_no_policy_waits(trust: Trust, at_utc: datetime) -> None:
    """No version of the policy that was to be in force by now still lacks signatures: its signers would rewrite the past."""
    pending = trust.policies.pending
    if pending is not None and pending.policy.valid_from_utc <= at_utc:
        raise ReleaseRefused(
            f"version {pending.policy.version} of the policy was to be in force since "
            f"{rfc3339(pending.policy.valid_from_utc)} and has {trust.policies.lacks}.",
            "Sign it with `trainserve approvers sign`, or take it out of the file.",
        )


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


def check_gates(gates: Sequence[Gate], evaluation: Evaluation, waivers: Sequence[Waiver], at_utc: datetime) -> None:
    """Every blocking gate, decided anew on the evaluation's figures, passes or is waived by name, with a reason and a term."""
    names = {gate.name for gate in gates if gate.blocking}
    for waiver in waivers:
        if waiver.gate not in names:
            raise ReleaseRefused(
                f"{waiver.gate!r} is not a blocking gate.", f"The blocking gates are {', '.join(sorted(names))}."
            )
        if not waiver.reason.strip():
            raise ReleaseRefused(f"the waiver of {waiver.gate!r} has no reason.", "Say why the gate may fail this once.")
        if _moment(waiver.expires_at_utc, f"expires_at_utc of the waiver of {waiver.gate!r}") <= at_utc:
            raise ReleaseRefused(
                f"the waiver of {waiver.gate!r} expired at {waiver.expires_at_utc}.", "Give it a term that is still to come."
            )
    verdicts = {gate.name: decide(gate, evaluation) for gate in gates if gate.blocking}
    waived = {waiver.gate for waiver in waivers}
    failed = [verdict.reason for name, verdict in verdicts.items() if not verdict.passed and name not in waived]
    if failed:
        raise ReleaseRefused("; ".join(failed) + ".", "Train a better candidate, reject this one, or waive the gate by name.")
    needless = sorted(name for name in waived if verdicts[name].passed)
    if needless:
        raise ReleaseRefused(f"{', '.join(needless)} passes and needs no waiver.", "Take the waiver out.")


def check_terms(decision: Decision, at_utc: datetime) -> None:
    """Share and term are ones that can be: a part of the requests, and a time still to come."""
    if not 0 < decision.greatest_share <= 1:
        raise ReleaseRefused(
            f"greatest_share is {decision.greatest_share:g}.", "It is a part of all requests: above 0, at most 1."
        )
    if decision.expires_at_utc is not None and _moment(decision.expires_at_utc, "expires_at_utc") <= at_utc:
        raise ReleaseRefused(f"expires_at_utc, {decision.expires_at_utc}, is over.", "Give a term that is still to come.")


def find_signers(policy: PolicyVersion, pasted: Pasted | None, at_utc: datetime) -> frozenset[str]:
    """The approvers whose signatures were pasted: each by a key that counts at this moment, over this very decision."""
    if pasted is None:
        return frozenset()
    sign_by = pasted.decision.sign_by_utc
    if sign_by is None:
        raise ReleaseRefused("the signatures do not say until when they count.", _SIGN_AGAIN)
    if _moment(sign_by, "sign_by_utc") < at_utc:
        raise ReleaseRefused(f"the signatures counted until {sign_by}, and it is {rfc3339(at_utc)}.", _SIGN_AGAIN)
    keys = policy.policy.keys_at(at_utc)
    given = [one["keyid"] for one in pasted.envelope["signatures"]]
    for keyid in given:
        if keyid not in keys:
            words = f"key {keyid[:12]} is no approver's key that counts today."
            raise ReleaseRefused(words, "`trainserve approvers show` says who has which key, until when.")
    try:
        _, valid = opened(pasted.envelope, DECISION_TYPE, {keyid: key for keyid, (_, key) in keys.items()}, "the signature")
    except VerificationError:
        valid = frozenset()
    for keyid in given:
        if keyid not in valid:
            raise ReleaseRefused(f"the signature of {keys[keyid][0].name} is not over this decision.", _SIGN_AGAIN)
    return frozenset(keys[keyid][0].name for keyid in valid)


def check_policy(policy: PolicyVersion, decision: Decision, signers: frozenset[str]) -> None:
    """Approver and signatures are what the policy in force asks for."""
    problems = list(policy.policy.problems(decision, signers))
    if problems:
        raise ReleaseRefused("; ".join(problems) + ".", _what_to_do(policy.policy.version))


def check_arm(arm: str, role: Role, live: Live) -> None:
    """The champion's arm is not taken by another role, which would leave nothing whose answer counts."""
    champion = live.champion
    if champion is not None and champion.arm == arm and role != "champion":
        raise ReleaseRefused(f"arm {arm!r} serves the champion, and a {role} would take its place.", "Choose another arm.")


def check_revoked_role(package_digest: str, role: Role, live: Live) -> None:
    """A revocation names the role that matters most of those its package is live in: who may decide on less may not stop it."""
    served = [release.role for release in live.releases.values() if release.package_digest == package_digest]
    strictest = next((one for one in get_args(Role) if one in served), role)
    if role != strictest:
        raise ReleaseRefused(f"package {package_digest[:12]} is live as {strictest}, and {role} is named.", "Name that role.")


def find_earlier_approval(entries: Sequence[Entry], package_digest: str, arm: str, role: Role, at_utc: datetime) -> Release:
    """The release that a roll back returns to: of this package on this arm in this role, neither revoked since nor expired."""
    for position in range(len(entries), 0, -1):
        decision = entries[position - 1].decision
        if decision.package_digest != package_digest:
            continue
        if decision.decision == "revoke":
            raise ReleaseRefused(f"package {package_digest[:12]} was revoked.", "Roll back to another one.")
        if decision.decision == "approve" and (decision.arm, decision.role) == (arm, role):
            release = fold(entries[:position]).releases[arm]
            if release.expired(at_utc):
                raise ReleaseRefused(
                    f"the approval of package {package_digest[:12]} expired at {release.expires_at_utc}.",
                    "Evaluate it again and approve it anew, or roll back to another one.",
                )
            return release
    words = f"package {package_digest[:12]} was never approved as {role} on arm {arm!r}."
    raise ReleaseRefused(words, "Choose an evaluation that was, or approve this one.")


def find_released(lake: LakeResource, use_case: UseCase, evaluation_id: str, entries: Sequence[Entry]) -> Decision:
    """The newest approval on this evaluation, by the ledger; else on another one of its package."""
    approved = [entry.decision for entry in entries if entry.decision.decision == "approve"]
    for decision in reversed(approved):
        if decision.evaluation_id == evaluation_id:
            return decision
    evaluation = read_evaluation(lake.home.lake, use_case.name, evaluation_id)
    for decision in reversed(approved):
        if decision.package_digest == evaluation.package_digest:
            return decision
    raise ReleaseRefused(f"package {evaluation.package_digest[:12]} was never approved.", "To turn down a candidate, reject it.")


def _moment(text: str, what: str) -> datetime:
    try:
        return utc(text)
    except ValueError as error:
        raise ReleaseRefused(f"{what} is {text!r}.", "Write a time in UTC, as 2027-01-31T00:00:00Z.") from error


def _what_to_do(version: int) -> str:
    if version == 0:
        return "There is no approvers.yaml: anybody but the trainer may decide on what needs no signature."
    return "Sign with `trainserve sign`, and let each signer add theirs to the same line; approvers.yaml says who may."


def _words(span: timedelta) -> str:
    hours, minutes = round(span.total_seconds() / 3600), round(span.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < _MINUTES_TO_COUNT else f"{hours} hours"
