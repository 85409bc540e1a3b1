"""`trainserve verify`: checks the ledger whole, offline: policy, chain, signatures, evaluations, and the packages' bytes."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from lake.documents import DocumentStore
from lake.errors import NotFound, TrainServeError, VerificationError
from lake.evaluation import read_evaluation
from lake.home import Home
from lake.package import open_package
from lake.release.approvers import read_policies
from lake.release.ledger import Entry, Ledger, is_begun
from lake.release.live import revoked
from lake.release.trust import Trust


def verify(*use_cases: str) -> int:
    """Check the ledger of each use case whole, and say the first event that does not hold. Status 1 when anything fails.

    Parameters
    ----------
    use_cases
        The use cases to check; all in the lake when none is named.

    """
    home = Home.from_environment()
    store = DocumentStore(home.lake, make=False)
    console = Console(highlight=False, soft_wrap=True)
    policies = read_policies(home.approvers, home.heads)
    console.print(f"policy: version {policies.newest.policy.version} is in force, {policies.newest.digest[:12]}")
    names = use_cases or [name for name in store.folders() if is_begun(store, name, home.heads)]
    if not names:
        console.print("nothing was ever released here")
    failures = [failure for name in names for failure in _verify(console, home, store, name)]
    for failure in failures:
        console.print(f"[bold red]does not hold:[/] {escape(failure)}")
    return int(bool(failures))


def _verify(console: Console, home: Home, store: DocumentStore, use_case: str) -> Iterator[str]:
    if not is_begun(store, use_case, home.heads):
        yield f"there is no ledger of {use_case!r}"
        return
    ledger = Ledger(store, use_case, Trust.read(home), home.heads)
    console.print(f"[bold]{escape(use_case)}[/]")
    try:
        ledger.poll()
    except VerificationError as error:
        yield str(error)
    for entry in ledger.entries:
        console.print(f"  {escape(_line(entry))}")
    gone = revoked(ledger.entries)
    decided = {(entry.decision.package_digest, entry.decision.evaluation_id) for entry in ledger.entries}
    packages = sorted({entry.decision.package_digest for entry in ledger.entries if entry.decision.decision == "approve"})
    held = 0
    for digest in packages:
        try:
            open_package(store, use_case, digest)
            held += 1
        except NotFound as error:
            if digest not in gone:
                yield str(error)
        except TrainServeError as error:
            yield str(error)
    for _, evaluation_id in sorted(decided):
        try:
            read_evaluation(home.lake, use_case, evaluation_id)
        except TrainServeError as error:
            yield str(error)
    console.print(f"  {len(ledger.entries)} events, {held} of {len(packages)} approved packages, {len(decided)} evaluations read")


def _line(entry: Entry) -> str:
    decision, event = entry.decision, entry.event
    by = " and ".join(entry.signers) + " (signed)" if entry.signers else f"{decision.approver} (claimed)"
    return (
        f"{event.seq:>4}  {event.at_utc[:19]}Z  {decision.decision:<9} {decision.package_digest[:12]} "
        f"as {decision.role} on {decision.arm}, by {by}, launched by {event.launcher}"
    )
