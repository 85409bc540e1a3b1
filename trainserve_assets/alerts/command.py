"""`trainserve alerts`: what is open and what waits for its receiver, and whether receivers can be reached."""

import cyclopts
from rich.console import Console

from checks.alerts import Statement, opened
from lake.documents import DocumentStore
from lake.errors import SettingError
from lake.home import Home
from lake.times import now_utc, rfc3339
from trainserve_assets.alerts.book import AlertBook, Notice, read_book
from trainserve_assets.alerts.messages import message_of
from trainserve_assets.alerts.receivers import AlertSettings
from trainserve_assets.alerts.sending import NotDelivered, send

alerts = cyclopts.App(name="alerts", help="List open alerts, and try the receivers of alerts.yaml.")


@alerts.default
def list_(use_case: str | None = None) -> int:
    """List the open alerts, and the notices that no receiver has yet. Status 1 when an error is open.

    Parameters
    ----------
    use_case
        Of this use case alone.

    """
    store, console = DocumentStore(Home.from_environment().lake, make=False), _console()
    books = [read_book(store, name) for name in ([use_case] if use_case else store.folders()) if not name.startswith("_")]
    for book in books:
        _print(console, book)
    if not any(book.open or book.waiting for book in books):
        console.print("No alert is open, and no notice waits.")
    return int(any(alert.statement.severity == "error" for book in books for alert in book.open))


@alerts.command(name="test")
def try_(receiver: str | None = None) -> int:
    """Send each receiver a notice that says that it is a test. Status 1 when one did not take it.

    Parameters
    ----------
    receiver
        The name of one; all without it.

    """
    path = Home.from_environment().alerts
    settings, console = AlertSettings.read(path), _console()
    chosen = [one for one in settings.receivers if receiver in (None, one.name)]
    if not chosen:
        named = [one.name for one in settings.receivers]
        expected = f"one of {named}, which it names" if named else "one receiver or more, as docs/alerts.md has them"
        raise SettingError(str(path), receiver or "no receiver", expected)
    failed = False
    for one in chosen:
        try:
            refused = send(one, message_of(_trial(one.name), settings.playbook))
            console.print(f"{one.name}: has it{f', but {refused}' if refused else ''}")
        except NotDelivered as error:
            failed = True
            console.print(f"{one.name}: {error.why}")
    return int(failed)


def _trial(receiver: str) -> Notice:
    at = rfc3339(now_utc())
    statement = Statement(
        use_case="trainserve",
        asset="alerts",
        check="receivers_can_be_reached",
        at_utc=at,
        passed=False,
        seen="somebody tried the receivers",
        expected="that this arrives",
        remedy="nothing",
    )
    alert = opened(statement)
    return Notice(id=f"{alert.id}-{receiver}-1", receiver=receiver, kind="test", alert=alert, at_utc=at)


def _print(console: Console, book: AlertBook) -> None:
    for alert in sorted(book.open, key=lambda one: (one.statement.severity, one.since_utc)):
        found = alert.statement
        about = f" on {found.about}" if found.about else ""
        console.print(f"{found.severity}: {book.use_case}: {found.check}{about}, since {alert.since_utc}")
        console.print(f"    {found.seen}")
        console.print(f"    remedy: {found.remedy or 'see the playbook'}; told: {', '.join(alert.told) or 'nobody'}")
    for notice in book.waiting:
        tried = f", tried {notice.attempts} times: {notice.why}" if notice.attempts else ""
        again = f"; again at {notice.next_try_utc}" if notice.next_try_utc else ""
        console.print(f"waiting: {notice.id} ({notice.kind}) for {notice.receiver} since {notice.at_utc}{tried}{again}")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)
