"""`trainserve verify`: checks the ledger whole, offline: policy, chain, signatures, evaluations, and the packages' bytes.

With `--log` it is the prediction log that is checked: see `lake.log.audit`.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from lake.documents import DocumentStore
from lake.errors import NotFound, SettingError, TrainServeError, VerificationError
from lake.evaluation import read_evaluation
from lake.home import Home
from lake.log.audit import Audit, Scope
from lake.package import open_package
from lake.release.approvers import read_policies
from lake.release.ledger import Entry, Ledger, begun, is_begun
from lake.release.live import revoked
from lake.release.trust import Trust


def verify(
    *use_cases: str,
    log: bool = False,
    since: Annotated[date | None, Parameter(name="--from")] = None,
    until: date | None = None,
) -> int:
    """Check the ledger of each use case whole, and say the first event that does not hold. Status 1 when anything fails.

    Parameters
    ----------
    use_cases
        The use cases to check; all in the lake when none is named.
    log
        Check the prediction log instead: that no row was edited, removed or invented since it was answered.
    since
        The first day of the log to check, as 2026-01-31, in UTC. What stands outside all commits is looked for only
        when no day is named.
    until
        The last day of the log to check.

    """
    home = Home.from_environment()
    if log:
        return _verify_log(home, Scope(use_cases=use_cases, since=since, until=until))
    if since is not None or until is not None:
        raise SettingError("--from or --until", since or until, "to stand with --log: the ledger is always checked whole")
    store = DocumentStore(home.lake, make=False)
    console = Console(highlight=False, soft_wrap=True)
    policies = read_policies(home.approvers, home.heads)
    console.print(f"policy: version {policies.newest.policy.version} is in force, {policies.newest.digest[:12]}")
    names = use_cases or begun(store, home.heads)
    if not names:
        console.print("nothing was ever released here")
    failures = [failure for name in names for failure in _verify(console, home, store, name)]
    for failure in failures:
        console.print(f"[bold red]does not hold:[/] {escape(failure)}")
    return int(bool(failures))


def _verify_log(home: Home, scope: Scope) -> int:
    """Print each finding as it is made, and then what was seen."""
    console = Console(highlight=False, soft_wrap=True)
    audit = Audit(home, scope)
    found = 0
    for finding in audit.findings():
        console.print(f"[bold red]does not hold:[/] {escape(finding)}")
        found += 1
    counts = audit.counts
    console.print(f"{counts.rows:,} rows are as they were logged: {counts.commits:,} commits of {counts.slots} slots")
    for words, count in (
        ("records have no row: they were erased on purpose", counts.erased),
        ("records have no row: they were deleted for their age", counts.retired),
        ("records have no row yet: they are being shipped", counts.waiting),
        ("records have no row: they could not be read, and were set aside", counts.set_aside),
        ("rows have no commit yet: a crash left them, and the slot's next life seals them", counts.left_by_crash),
    ):
        if count:
            console.print(f"{count:,} {words}")
    if found:
        console.print(f"[bold red]{found:,} findings[/]")
    return int(found > 0)


def _verify(console: Console, home: Home, store: DocumentStore, use_case: str) -> Iterator[str]:
    if not is_begun(store, use_case, home.heads):
        yield f"there is no ledger of {use_case!r}"
        return
    ledger = Ledger(store, use_case, Trust.read(home), home.heads)
    console.print(f"[bold]{escape(use_case)}[/]")
    try:
        ledger.poll()
    except (SettingError, VerificationError) as error:
        yield str(error)
    for entry in ledger.entries:
        console.print(f"  {escape(_line(entry))}")
    yield from _packages(console, store, use_case, ledger.entries)
    yield from _evaluations(console, home, use_case, ledger.entries)


def _packages(console: Console, store: DocumentStore, use_case: str, entries: Sequence[Entry]) -> Iterator[str]:
    """What does not hold of the approved packages; one that was revoked since may be gone."""
    gone = revoked(entries)
    approvals = [entry for entry in reversed(entries) if entry.decision.decision == "approve"]
    approved = {entry.decision.package_digest: entry for entry in approvals}  # with the first approval of each
    held = 0
    for digest, entry in reversed(approved.items()):
        try:
            open_package(store, use_case, digest)
            held += 1
        except TrainServeError as error:
            if not (isinstance(error, NotFound) and digest in gone):
                yield f"event {entry.event.seq} of the ledger of {use_case!r}: {error}"
    console.print(f"  {len(entries)} events, {held} of {len(approved)} approved packages read")


def _evaluations(console: Console, home: Home, use_case: str, entries: Sequence[Entry]) -> Iterator[str]:
    """What does not hold of the evaluations that were decided on."""
    decided = {entry.decision.evaluation_id: entry for entry in reversed(entries)}  # with the first decision on each
    held = 0
    for evaluation_id, entry in reversed(decided.items()):
        what = f"event {entry.event.seq} of the ledger of {use_case!r}"
        try:
            judged = read_evaluation(home.lake, use_case, evaluation_id).package_digest
        except TrainServeError as error:
            yield f"{what}: {error}"
            continue
        held += 1
        if judged != entry.decision.package_digest:
            yield f"{what}: its evaluation judges package {judged[:12]}, not {entry.decision.package_digest[:12]}"
    console.print(f"  {held} of {len(decided)} evaluations read")


def _line(entry: Entry) -> str:
    decision, event = entry.decision, entry.event
    by = " and ".join(entry.signers) + " (signed)" if entry.signers else f"{decision.approver} (claimed)"
    return (
        f"{event.seq:>4}  {event.at_utc[:19]}Z  {decision.decision:<9} {decision.package_digest[:12]} "
        f"as {decision.role} on {decision.arm}, by {by}, launched by {event.launcher}"
    )
