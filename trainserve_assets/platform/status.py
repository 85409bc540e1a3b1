"""`trainserve status`: what is live, since when, approved by whom; and what waits in the log."""

from rich.console import Console
from rich.markup import escape

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.log.backlog import set_aside, set_aside_folder, waiting
from lake.release.ledger import Ledger, is_begun
from lake.release.live import fold
from lake.release.trust import Trust
from lake.tables import LABELS, PREDICTIONS

_IDENTITY = {"claimed": "[yellow]whose name is claimed, not proven by a signature[/]", "signed": "who signed it"}


def status() -> int:
    """Say what is live on each arm, since when, approved by whom, and what the log holds. Status 1 if a ledger fails."""
    from trainserve_assets.catalog import use_cases

    home = Home.from_environment()
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"home {home.root}, lake {home.lake}")
    failed = False
    for use_case in use_cases():
        try:
            console.print(_live(home, use_case))
            console.print(_log(home, use_case))
        except TrainServeError as error:
            failed = True
            console.print(f"[bold red]{use_case}:[/] {escape(str(error))}")
    console.print("\n".join(_backlog(home)))
    return int(failed)


def _live(home: Home, use_case: str) -> str:
    store = DocumentStore(home.lake)
    if not is_begun(store, use_case, home.heads):
        return f"{use_case}: nothing was ever released; materialize {use_case}/release in Dagit"
    ledger = Ledger(store, use_case, Trust.read(home), home.heads)
    ledger.poll()
    lines = [f"[bold]{use_case}[/]: a ledger of {ledger.head.seq} events; chain and signatures hold"]
    for release in fold(ledger.entries).releases.values():
        arm = release.arm if release.arm == release.role else f"{release.arm} ({release.role})"
        since = release.at_utc[:19].replace("T", " ")
        lines.append(f"  {arm:<12} {escape(release.model_version)}, package {release.package_digest[:12]}")
        lines.append(f"  {'':<12} live since {since} UTC, approved by {escape(release.approver)}, {_IDENTITY[release.identity]}")
    return "\n".join(lines)


def _log(home: Home, use_case: str) -> str:
    counts = []
    for name in (PREDICTIONS, LABELS):
        table = Table(home.lake, use_case, name)
        counts.append(f"{table.open().count() if table.exists() else 0:,} {name}")
    return f"{use_case}: " + ", ".join(counts)


def _backlog(home: Home) -> list[str]:
    """What waits in each slot, and what nobody could read."""
    lines = [
        f"log: {slot.rows:,} records ({slot.bytes:,} bytes) wait in {slot.slot} for the shipper, the oldest {slot.lag_s:,.1f} s"
        for slot in waiting(home)
        if slot.rows
    ]
    aside = set_aside(home)
    if aside.files:
        kept = escape(str(set_aside_folder(home)))
        lines.append(f"[bold red]log:[/] {aside.files} segments held {aside.bytes:,} bytes that nobody can read, kept in {kept}")
    return lines or ["log: nothing waits for the shipper"]
