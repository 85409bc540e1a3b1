"""`trainserve status`: what is live, since when, approved by whom; and what waits in the log."""

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.ledger import Ledger
from lake.releases import fold
from lake.shipper import backlog
from lake.signatures import Trust
from lake.tables import LABELS, PREDICTIONS


def status() -> int:
    """Say what is live on each arm, since when, approved by whom, and what the log holds. Status 1 if a ledger fails."""
    from trainserve_assets.catalog import use_cases

    home = Home.from_environment()
    console = Console()
    console.print(f"home {home.root}, lake {home.lake}", highlight=False)
    failed = False
    for use_case in use_cases():
        try:
            console.print(_live(home, use_case))
        except TrainServeError as error:
            failed = True
            console.print(f"[bold red]{use_case}:[/] {error}", highlight=False)
        console.print(_log(home, use_case), highlight=False)
    waiting = backlog(home)
    console.print(f"log: {waiting.bytes:,} bytes in {waiting.segments} segments wait for the shipper", highlight=False)
    return int(failed)


def _live(home: Home, use_case: str) -> RenderableType:
    store = DocumentStore(home.lake)
    if not store.names(f"{use_case}/releases"):
        return Text(f"{use_case}: nothing was ever released; materialize {use_case}/release in Dagit")
    ledger = Ledger(store, use_case, Trust.read(home.keys), home.heads)
    ledger.poll()
    table = RichTable("arm", "role", "version", "live since", "approved by", "package", title=use_case, title_justify="left")
    claimed = False
    for arm, release in fold(ledger.entries).releases.items():
        claimed |= release.identity == "claimed"
        approver = f"{release.approver} ({release.identity})"
        table.add_row(arm, release.role, release.model_version, release.at_utc, approver, release.package_digest[:12])
    note = "claimed: the approver's name stands in the run's config and is not proven by a signature" if claimed else ""
    return Group(table, Text(f"ledger: {ledger.head.seq} events, chain and signatures hold"), Text(note, style="yellow"))


def _log(home: Home, use_case: str) -> str:
    counts = []
    for name in (PREDICTIONS, LABELS):
        table = Table(home.lake, use_case, name)
        counts.append(f"{table.open().count() if table.exists() else 0:,} {name}")
    return f"{use_case}: " + ", ".join(counts)
