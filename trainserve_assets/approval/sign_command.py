"""`trainserve sign`: an approver reads the evaluation, signs the decision with their own key, and gets one line to paste."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from checks.release_standard import decide
from lake.commands.passphrase import ask_passphrase
from lake.errors import SettingError
from lake.release.decision import DECISION_TYPE, Decision, DecisionKind, Role, Waiver, statement_bytes
from lake.release.policy import PolicyVersion
from lake.release.signatures import ApproverKey, merged
from lake.release.trust import Trust
from lake.times import now_utc, rfc3339
from trainserve_assets.approval import requirements
from trainserve_assets.approval.draft import Request, Subject, draft, subject_of
from trainserve_assets.approval.found import Found, find_evaluation
from trainserve_assets.approval.launch import launch_release, release_config
from trainserve_assets.approval.pasted import Pasted, pasteable, read_pasted
from trainserve_assets.report import evaluation_summary
from trainserve_assets.resources import LakeResource


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is decided.

    Parameters
    ----------
    decision
        What you decide.
    role
        What the model is for.
    arm
        The line of requests that it serves; by default the name of the role.
    reason
        Why you decide so; asked for when it is left out.
    greatest_share
        The greatest part of all requests that the operator may give it, above 0 to 1.
    expires_at
        When the release expires, as 2027-01-31T00:00:00Z; by default as late as its risk tier allows.
    waive
        `GATE=REASON` of a blocking gate that may fail this once, until the release expires.
    sign_within_hours
        How long your signature counts before it is recorded.

    """

    decision: DecisionKind = "approve"
    role: Role = "champion"
    arm: str | None = None
    reason: str | None = None
    greatest_share: float | None = None
    expires_at: str | None = None
    waive: Sequence[str] = ()
    sign_within_hours: float = 72


_DEFAULT = Terms()


def sign(
    evaluation: str,
    *,
    key: Path,
    terms: Annotated[Terms, Parameter(name="*")] = _DEFAULT,
    add_to: str | None = None,
    launch: str | None = None,
    yes: bool = False,
) -> int:
    """Show an evaluation, ask, and sign the decision on it. Prints one line to paste into the release's `signatures`.

    Parameters
    ----------
    evaluation
        The evaluation's id, its first eight characters or more, or the file `evaluation.json` that stands beside its report.
    key
        The file of your private key.
    terms
        What is decided.
    add_to
        The line of another approver, to sign the very same decision.
    launch
        The address of Dagit, as http://127.0.0.1:3000: launch the release with what is signed.
    yes
        Do not ask.

    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    lake = LakeResource()
    found = find_evaluation(lake, evaluation)
    signer = ApproverKey.read(key.expanduser(), ask_passphrase(str(key)))
    policy = Trust.read(lake.home).policy_at(now_utc())
    named = policy.policy.keys_at(now_utc()).get(signer.public.keyid)
    if named is None:
        raise SettingError(f"the key {key}", signer.public.keyid[:12], f"a key of {lake.home.approvers} that counts today")
    former = None if add_to is None else _line_about(found, add_to)
    wanted = _drafted(lake, found, terms, named[0].name, policy, console) if former is None else former.decision
    signers = {named[0].name} | (set() if former is None else _signers(policy, former))
    lacks = list(policy.policy.problems(wanted, frozenset(signers)))
    console.print(evaluation_summary(found.use_case, [found.evaluation]))
    _show(console, found, wanted, policy)
    for problem in lacks:
        console.print(f"[yellow]signed by {escape(' and '.join(sorted(signers)))} still:[/] {escape(problem)}")
    if not yes and _asked(console, "Sign this decision? Type yes: ") != "yes":
        console.print("Nothing was signed.")
        return 1
    mine = signer.seal(statement_bytes(wanted), DECISION_TYPE)
    line = pasteable(mine if former is None else merged([former.envelope, mine]))
    console.print(f"Signed as {escape(named[0].name)}. It is to be recorded by {wanted.sign_by_utc}.")
    if launch is not None:
        run_id = launch_release(launch, wanted, line)
        console.print(f"Launched: {launch.rstrip('/')}/runs/{run_id}")
    elif lacks:
        again = f"trainserve sign {wanted.evaluation_id[:12]} --key KEY_FILE --add-to LINE"
        console.print(f"The next who signs does so with: {again}\nThe line:")
    else:
        console.print(f"Paste this into the Launchpad of {wanted.use_case}/release:\n", style="bold")
        console.print(msgspec.yaml.encode(release_config(wanted, line)).decode(), markup=False)
        console.print("Or the line alone, into the block of the evaluation:")
    Console(highlight=False, soft_wrap=True, markup=False).print(line)
    return 0


def _signers(policy: PolicyVersion, pasted: Pasted) -> set[str]:
    """The approvers whose keys the pasted signatures name; whether they are right is seen when they are recorded."""
    keys = policy.policy.keys_at(now_utc())
    return {keys[one["keyid"]][0].name for one in pasted.envelope["signatures"] if one["keyid"] in keys}


def _line_about(found: Found, line: str) -> Pasted:
    """What another approver signed. Raises SettingError when it is about another evaluation."""
    pasted = read_pasted([line])
    if pasted is None or pasted.decision.evaluation_id != found.evaluation.evaluation_id:
        raise SettingError("--add-to", line[:24], f"a line about evaluation {found.evaluation.evaluation_id[:12]}")
    return pasted


def _drafted(lake: LakeResource, found: Found, terms: Terms, approver: str, policy: PolicyVersion, console: Console) -> Decision:
    now = now_utc()
    request = Request(
        evaluation_id=found.evaluation.evaluation_id,
        decision=terms.decision,
        role=terms.role,
        arm=terms.arm or terms.role,
        approver=approver,
        reason=terms.reason or _asked(console, "Why do you decide so? "),
        greatest_share=terms.greatest_share,
        expires_at_utc=terms.expires_at,
        waivers=tuple(_waiver(text, terms.expires_at) for text in terms.waive),
    )
    requirements.check_words(request.approver, request.reason, request.arm)
    sign_by = rfc3339(now + timedelta(hours=terms.sign_within_hours))
    decision = draft(found.use_case, request, _subject(lake, found, request, now), policy, now, sign_by_utc=sign_by)
    requirements.check_terms(decision, now)
    return decision


def _subject(lake: LakeResource, found: Found, request: Request, now: datetime) -> Subject:
    """What is decided on: by the evaluation alone, unless the decision is about what was released already."""
    if request.decision in ("approve", "reject"):
        return subject_of(found.evaluation)
    entries = lake.ledger(found.use_case.name).entries
    if request.decision == "revoke":
        return subject_of(requirements.find_released(lake, found.use_case, request.evaluation_id, entries))
    package = found.evaluation.package_digest
    former = requirements.find_earlier_approval(entries, package, request.arm, request.role, now)
    return Subject(
        package_digest=package,
        model_version=found.evaluation.model_version,
        trainer=found.evaluation.trainer,
        returns_to=former,
    )


def _show(console: Console, found: Found, decision: Decision, policy: PolicyVersion) -> None:
    waived = {waiver.gate for waiver in decision.waivers}
    for gate in found.use_case.release_standard:
        verdict = decide(gate, found.evaluation)
        if gate.blocking and not verdict.passed:
            words = "waived" if gate.name in waived else "the release will be refused"
            console.print(f"[bold red]fails:[/] {escape(verdict.reason)} ({words})")
    lasts = "" if decision.expires_at_utc is None else f", until {rfc3339(policy.policy.expiry_of(decision, now_utc()))}"
    console.print(
        f"[bold]{decision.decision}[/] {escape(decision.model_version)} as {decision.role} on arm {escape(decision.arm)}, "
        f"at most {decision.greatest_share:.0%} of the requests{lasts}\n"
        f"package {decision.package_digest}\nevaluation {decision.evaluation_id}\n"
        f"decided by {escape(decision.approver)}: {escape(decision.reason)}"
    )
    for waiver in decision.waivers:
        console.print(f"waives {waiver.gate} until {waiver.expires_at_utc}: {escape(waiver.reason)}")


def _waiver(text: str, expires_at: str | None) -> Waiver:
    gate, equals, reason = text.partition("=")
    if not equals or expires_at is None:
        raise SettingError("--waive", text, "GATE=REASON, together with --expires-at: a waiver has a term")
    return Waiver(gate=gate, reason=reason, expires_at_utc=expires_at)


def _asked(console: Console, question: str) -> str:
    try:
        return console.input(question).strip()
    except EOFError as error:
        raise SettingError("the answer", "", "a terminal to type it on, or --reason and --yes") from error
