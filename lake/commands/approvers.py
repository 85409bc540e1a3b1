"""`trainserve approvers`: the versions of `approvers.yaml`, proposed by one, signed by a quorum of those the last one names."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import cyclopts
import msgspec
from cyclopts import Parameter
from rich.console import Console

from lake.commands.passphrase import ask_passphrase
from lake.errors import SettingError
from lake.home import Home
from lake.release.approvers import Written, read_policies, read_written, signed, write_written
from lake.release.policy import Key, PolicyVersion, policy_version
from lake.release.proposal import Proposal, proposed
from lake.release.signatures import ApproverKey
from lake.times import now_utc, rfc3339, utc

# A later version needs signatures before it is in force: until then everything is decided under the one before.
TIME_TO_SIGN = timedelta(hours=1)
_NOTHING = Proposal()

approvers = cyclopts.App(name="approvers", help="Show, propose and sign versions of approvers.yaml.")


@approvers.command
def show() -> None:
    """Say who may release, by which version of the policy, and what still waits for signatures."""
    home = Home.from_environment()
    policies = read_policies(home.approvers, home.heads)
    console = _console()
    console.print(f"{home.approvers}: {len(policies.versions) - 1} versions in force so far")
    _print_policy(console, policies.newest)
    if policies.pending is not None:
        console.print(f"\nVersion {policies.pending.policy.version} waits: it has {policies.lacks}.", style="yellow")
        _print_policy(console, policies.pending)


@approvers.command
def propose(proposal: Annotated[Proposal, Parameter(name="*")] = _NOTHING, *, valid_from: str | None = None) -> None:
    """Write the next version of the policy. The first counts at once, a later one when a quorum has signed it.

    Parameters
    ----------
    proposal
        What is to change.
    valid_from
        When this version is in force, as 2027-01-31T00:00:00Z: by default now, or in an hour when it has to be signed.

    """
    home = Home.from_environment()
    policies = read_policies(home.approvers, home.heads)
    if policies.pending is not None:
        what = f"version {policies.pending.policy.version} of {home.approvers}"
        raise SettingError(what, policies.lacks, "its signatures, or its removal, before another is proposed")
    before = policies.newest
    policy = proposed(before, proposal, _moment(valid_from, before))
    written = Written(policy=msgspec.to_builtins(policy))
    version = policy_version(written.policy)
    write_written(home.approvers, [*read_written(home.approvers), written])
    console = _console()
    _print_policy(console, version)
    console.print(f"Version {policy.version} is written to {home.approvers}.")
    if policy.version > 1:
        console.print(f"It counts once {before.policy.quorum} of the approvers sign it: trainserve approvers sign KEY_FILE")


@approvers.command
def sign(key: Path) -> None:
    """Sign the newest version with an approver's key.

    Parameters
    ----------
    key
        The file of the private key.

    """
    home = Home.from_environment()
    written = read_written(home.approvers)
    console = _console()
    if written:
        _print_policy(console, policy_version(written[-1].policy))
    opened = ApproverKey.read(key.expanduser(), ask_passphrase(str(key)))
    write_written(home.approvers, signed(written, opened, home.approvers))
    policies = read_policies(home.approvers, home.heads)
    console.print("Signed." if policies.pending is None else f"Signed. It has {policies.lacks}.")


def _print_policy(console: Console, version: PolicyVersion) -> None:
    policy = version.policy
    console.print(f"version {policy.version}, in force from {rfc3339(policy.valid_from_utc)}, digest {version.digest[:12]}")
    for approver in policy.approvers:
        on = "all use cases" if "*" in approver.use_cases else ", ".join(approver.use_cases)
        logins = "".join(f", known as {login}" for login in approver.logins)
        console.print(f"  {approver.name}: {', '.join(approver.roles)} of {on}{logins}")
        _print_keys(console, approver.keys)
    if not policy.approvers:
        console.print("  anybody but the trainer, with a name that is claimed, not signed")
    if policy.platform:
        console.print("  the platform, which signs events")
        _print_keys(console, policy.platform)
    roles = ", ".join(f"{role} {count}" for role, count in policy.roles.items()) or "none by role"
    tiers = ", ".join(f"{name} {tier.signatures} for {tier.lasts_days} days" for name, tier in policy.tiers.items())
    console.print(f"  signatures: {roles}; by tier {tiers}; quorum {policy.quorum}; what expired: {policy.expired}")


def _print_keys(console: Console, keys: Sequence[Key]) -> None:
    for key in keys:
        until = "" if key.valid_until_utc is None else f" until {rfc3339(key.valid_until_utc)}"
        console.print(f"    key {key.public_key} from {rfc3339(key.valid_from_utc)}{until}")


def _moment(text: str | None, before: PolicyVersion) -> datetime:
    """When the next version is to be in force: not in the past, of which the version before has judged."""
    now = now_utc()
    if text is None:
        moment = now + (TIME_TO_SIGN if before.policy.version else timedelta())
    else:
        try:
            moment = utc(text)
        except ValueError as error:
            raise SettingError("--valid-from", text, "a time in UTC, as 2027-01-31T00:00:00Z") from error
    earliest = max(now, before.policy.valid_from_utc)
    if moment < earliest or (before.policy.version and moment == earliest):
        raise SettingError("--valid-from", rfc3339(moment), f"a moment after {rfc3339(earliest)}")
    return moment


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)
