"""`trainserve parameters`: what operators read and change while proxies run, and what approvers sign of it."""

import sys
from datetime import timedelta
from pathlib import Path

import cyclopts
import msgspec
from rich.console import Console

from lake.commands.passphrase import ask_passphrase
from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.home import Home
from lake.misread import misread
from lake.parameters.changes import changes_of_meaning, differences
from lake.parameters.client import ParametersClient
from lake.parameters.document import Change, Parameters, change_of, content_of
from lake.parameters.explained import read_change
from lake.parameters.held import HeldChange
from lake.parameters.signed import Proposal, line_of, read_lines, sign_proposal
from lake.release.signatures import ApproverKey
from lake.release.trust import Trust
from lake.times import now_utc, rfc3339
from lake.workers import read_workers

parameters = cyclopts.App(name="parameters", help="Read, change, try and sign the parameters of a use case.")


@parameters.command
def get(use_case: str, *, proxy: str | None = None) -> None:
    """Print what is in force, as YAML that `set` takes; its version and who changed it are told apart from it.

    Parameters
    ----------
    use_case
        Whose parameters.
    proxy
        The address of a proxy; by default TRAINSERVE_PROXY, else http://127.0.0.1:8000. Its key is TRAINSERVE_API_KEY.

    """
    found = ParametersClient.from_environment(proxy).get(use_case)
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(_headline(found))
    sys.stdout.write(msgspec.yaml.encode(content_of(found)).decode())


@parameters.command(name="set")
def set_(use_case: str, file: Path, *, why: str, signature: list[str] | None = None, proxy: str | None = None) -> int:
    """Make a file the next version; says what differs. Who changed it is whose key TRAINSERVE_API_KEY is.

    Parameters
    ----------
    use_case
        Whose parameters.
    file
        YAML or JSON, as `get` prints it.
    why
        Why; it stands in the history, and is what approvers signed, where they did.
    signature
        A line of `trainserve parameters sign`; may stand several times.
    proxy
        The address of a proxy; by default TRAINSERVE_PROXY, else http://127.0.0.1:8000.

    """
    client, console = ParametersClient.from_environment(proxy), _console()
    before, wanted = client.get(use_case), _read(file, why, tuple(signature or ()))
    changed = differences(content_of(before), wanted)
    if not changed:
        console.print(f"Nothing differs from version {before.version}.")
        return 0
    stored = client.put(use_case, before.version, wanted)
    for one in changed:
        console.print(f"  {one}")
    if isinstance(stored, HeldChange):
        console.print(f"The lake is away, so the machine of {client.url} alone holds it: {stored}")
        return 0
    console.print(
        f"Version {stored.version} of {use_case} is stored, by {stored.changed_by}: in force everywhere within a second."
    )
    return 0


@parameters.command
def history(use_case: str, *, last: int = 20) -> None:
    """List the versions: who, when, why, and what each changed.

    Parameters
    ----------
    use_case
        Whose parameters.
    last
        How many, counted back from the newest.

    """
    from lake.parameters.stored import read_parameters, versions

    store, console = DocumentStore(Home.from_environment().lake, make=False), _console()
    numbers = versions(store, use_case)
    if not numbers:
        console.print(f"Nothing was ever stored for {use_case}: the environment of each proxy holds, as version 0.")
    before = read_parameters(store, use_case, numbers[-last - 1]) if len(numbers) > last else None
    for number in numbers[-last:]:
        found = read_parameters(store, use_case, number)
        console.print(_headline(found))
        for one in differences(content_of(before), content_of(found)) if before is not None else ():
            console.print(f"    {one}")
        before = found


@parameters.command(name="test")
def try_(use_case: str, file: Path, *, rows: int = 100_000, proxy: str | None = None) -> None:
    """Try a file against the log: which past answers would have been others, and how. Nothing is changed.

    Parameters
    ----------
    use_case
        Whose parameters.
    file
        YAML or JSON, as `get` prints it.
    rows
        How many of the newest answers to try.
    proxy
        The address of a proxy, to compare with what is in force there; by default TRAINSERVE_PROXY.

    """
    from lake.commands.replayed import print_trial

    print_trial(_console(), use_case, _read(file, "a trial"), rows, ParametersClient.from_environment(proxy))


@parameters.command
def sign(
    use_case: str,
    file: Path,
    *,
    why: str,
    key: Path,
    add_to: str | None = None,
    sign_within_hours: float = 72,
    yes: bool = False,
    proxy: str | None = None,
) -> int:
    """Show what a file would change and what of that gives answers another meaning, ask, and sign it; prints one line for `set`.

    Parameters
    ----------
    use_case
        Whose parameters.
    file
        YAML or JSON, as `get` prints it.
    why
        Why, word for word as `set` will say it.
    key
        The file of your private key.
    add_to
        The line of another approver, to sign the very same change.
    sign_within_hours
        How long your signature counts before it is stored.
    yes
        Do not ask.
    proxy
        The address of a proxy; by default TRAINSERVE_PROXY, else http://127.0.0.1:8000.

    """
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    before = ParametersClient.from_environment(proxy).get(use_case)
    wanted = _read(file, why)
    former = None if add_to is None else read_lines([add_to])
    proposal = _proposal(before, wanted, sign_within_hours) if former is None else former.proposal
    for one in differences(content_of(before), proposal.content):
        console.print(f"  {one}")
    for meaning in changes_of_meaning(before, proposal.content):
        console.print(f"  to be signed: {meaning.what}", style="yellow")
    if former is not None and (proposal.content, proposal.why) != (content_of(wanted), why):
        raise SettingError("--add-to", add_to, f"a line about {file} with that why: another change was signed")
    if (
        not yes
        and console.input(f"Sign this change of version {proposal.after_version} of {use_case}? Type yes: ").strip() != "yes"
    ):
        console.print("Nothing was signed.")
        return 1
    signer = ApproverKey.read(key.expanduser(), ask_passphrase(str(key)))
    console.print(f"Signed. It is to be stored by {proposal.sign_by_utc}: trainserve parameters set ... --signature LINE")
    _console().print(line_of(sign_proposal(proposal, signer, former)))
    return 0


@parameters.command
def status(use_case: str, *, proxy: list[str] | None = None) -> None:
    """List the workers of this machine, or of others, and what each goes by.

    Parameters
    ----------
    use_case
        Whose parameters.
    proxy
        The address of a proxy of another machine; may stand several times. Its key is TRAINSERVE_API_KEY.

    """
    console = _console()
    workers = [worker for url in proxy or () for worker in ParametersClient.from_environment(url).workers(use_case)]
    if not proxy:
        workers = read_workers(Home.from_environment())
    if not workers:
        console.print("No worker of a proxy lives there." if proxy else "No worker of a proxy lives on this machine.")
    for worker in workers:
        confirmed = worker.use_cases.get(use_case)
        if confirmed is None:
            console.print(f"worker {worker.id}: has confirmed nothing of {use_case}")
            continue
        stopped = "stopped" if confirmed.stopped else f"stopped arms {list(confirmed.stopped_arms)}"
        what = f"version {confirmed.version}, {stopped if confirmed.stopped or confirmed.stopped_arms else 'not stopped'}"
        refused = "" if confirmed.refused_version is None else f"; does not follow version {confirmed.refused_version}"
        console.print(f"worker {worker.id}: {what}{refused}, confirmed at {worker.confirmed_at_utc}")


def _proposal(before: Parameters, wanted: Change, hours: float) -> Proposal:
    now = now_utc()
    return Proposal(
        use_case=before.use_case,
        after_version=before.version,
        content=content_of(wanted),
        why=wanted.why,
        policy_digest=Trust.read(Home.from_environment()).policy_at(now).digest,
        sign_by_utc=rfc3339(now + timedelta(hours=hours)),
    )


def _read(file: Path, why: str, signatures: tuple[str, ...] = ()) -> Change:
    """What a file says. Raises SettingError, InvalidInput with every problem of its form."""
    try:
        raw = msgspec.yaml.decode(file.read_bytes())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(str(file), misread(error), "YAML or JSON, as `trainserve parameters get` prints it") from error
    if not isinstance(raw, dict):
        found = "empty" if raw is None else "no object"
        raise SettingError(str(file), found, "the parameters by their names, as `trainserve parameters get` prints them")
    change = read_change(msgspec.json.encode({**raw, "why": why}))
    return change_of(change, why, signatures)


def _headline(found: Parameters) -> str:
    signed = ", signed" if found.proposal is not None else ""
    when = "" if found.changed_at_utc is None else f" at {found.changed_at_utc}"
    return f"version {found.version} of {found.use_case}, by {found.changed_by}{when}{signed}: {found.why or 'the environment'}"


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)
