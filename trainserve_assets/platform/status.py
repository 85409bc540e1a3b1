"""`trainserve status`: what is live, since when, until when, approved by whom; and what waits in the log."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console
from rich.markup import escape

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.log.backlog import set_aside, set_aside_folder, waiting
from lake.release import expiry
from lake.release.decision import Decision
from lake.release.ledger import Entry, Ledger, is_begun
from lake.release.live import Release, fold
from lake.release.policy import Policy
from lake.release.trust import Trust
from lake.tables import LABELS, PREDICTIONS
from lake.times import now_utc, utc

_IDENTITY = {"claimed": "[yellow]whose name is claimed, not proven by a signature[/]", "signed": "who signed it"}
_INDENT = " " * 15


def status() -> int:
    """Say what is live, since when, until when, approved by whom, and what the log holds. Status 1 if a ledger fails."""
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
    store = DocumentStore(home.lake, make=False)
    if not is_begun(store, use_case, home.heads):
        return f"{use_case}: nothing was ever released; materialize {use_case}/release in Dagit"
    trust = Trust.read(home)
    ledger = Ledger(store, use_case, trust, home.heads)
    ledger.poll()
    lines = [f"[bold]{use_case}[/]: a ledger of {ledger.head.seq} events; chain and signatures hold"]
    if trust.policies.pending is not None:
        version = trust.policies.pending.policy.version
        lines.append(f"  [yellow]version {version} of the policy waits: it has {escape(trust.policies.lacks)}[/]")
    for release in fold(ledger.entries).releases.values():
        lines += _release(release, ledger.entries, ledger.policy, now_utc())
    return "\n".join(lines)


def _release(release: Release, entries: Sequence[Entry], policy: Policy, now: datetime) -> Iterator[str]:
    arm = release.arm if release.arm == release.role else f"{release.arm} ({release.role})"
    until = "" if release.expires_at_utc is None else f" until {_minute(release.expires_at_utc)}"
    yield f"  {arm:<12} {escape(release.model_version)}, package {release.package_digest[:12]}"
    yield (
        f"{_INDENT}live since {_minute(release.at_utc)}{until} UTC, approved by {escape(release.approver)}, "
        f"{_IDENTITY[release.identity]}"
    )
    for waiver in _approval(release, entries).waivers:
        yield f"{_INDENT}although {escape(waiver.gate)} fails, until {_minute(waiver.expires_at_utc)}: {escape(waiver.reason)}"
    over = expiry.refused(release, policy, now) or expiry.served_on(release, policy, now)
    if over is not None:
        yield f"{_INDENT}[bold red]{escape(over)}[/]"
    elif (soon := expiry.ahead(release, now)) is not None:
        yield f"{_INDENT}[yellow]{escape(soon)}[/]"


def _approval(release: Release, entries: Sequence[Entry]) -> Decision:
    """The approval under which this is live: its own, or that which a roll back returned to."""
    place = (release.package_digest, release.arm, release.role)
    decisions = (entry.decision for entry in reversed(entries[: release.seq]))
    return next(one for one in decisions if one.decision == "approve" and (one.package_digest, one.arm, one.role) == place)


def _minute(moment: str) -> str:
    return f"{utc(moment):%Y-%m-%d %H:%M}"


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
