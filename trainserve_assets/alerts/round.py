"""One round of alerts: take what checks said, note who is to hear of it, deliver what is due."""

import time
from collections.abc import Mapping

import dagster as dg
import msgspec

from lake.documents import DocumentStore
from lake.times import Clock
from trainserve_assets.alerts.book import AlertBook, Notice, read_book, write_book
from trainserve_assets.alerts.evaluations import checks_not_made, new_evaluations
from trainserve_assets.alerts.messages import message_of
from trainserve_assets.alerts.receivers import AlertSettings, AnyReceiver
from trainserve_assets.alerts.sending import NotDelivered, send

# A tick of a sensor is cut off after a minute.
_BUDGET_S = 25.0


def take(
    instance: dg.DagsterInstance,
    store: DocumentStore,
    use_case: str,
    checks: Mapping[dg.AssetCheckKey, str],
    settings: AlertSettings,
    clock: Clock,
) -> tuple[AlertBook, int]:
    """Bring the book up to date with what checks said, and keep it. Safe to run twice: what was taken is not taken again."""
    before = read_book(store, use_case)
    receivers = _receivers_of(settings, use_case)
    evaluated, read_until = new_evaluations(instance, checks, before.read_until)
    now = clock()
    book = msgspec.structs.replace(before, read_until={**before.read_until, **read_until})
    for one in [*evaluated, *checks_not_made(instance, checks)]:  # each is told, also one that ended before anybody looked
        book = book.taken(one, receivers, now).noticed(receivers, now, settings.telling)
    book = book.noticed(receivers, now, settings.telling)
    if book != before:
        write_book(store, book)
    return book, len(evaluated)


def deliver(
    store: DocumentStore, book: AlertBook, settings: AlertSettings, gates: frozenset[str], clock: Clock
) -> tuple[AlertBook, list[Notice], list[str]]:
    """Send what is due, each attempt kept before the next; one receiver that is down keeps no other from its notices."""
    receivers = {one.name: one for one in _receivers_of(settings, book.use_case)}
    began, down = time.monotonic(), set[str]()
    delivered: list[Notice] = []
    failed: list[str] = []
    while time.monotonic() - began < _BUDGET_S:
        notice = next((one for one in book.due(clock()) if one.receiver not in down), None)
        if notice is None:
            break
        message = message_of(notice, settings.playbook, gates)
        try:
            refused = send(receivers[notice.receiver], message)
        except NotDelivered as error:
            tried = notice.failed(clock(), error.why)
            failed.append(str(error))
            if error.is_down:
                down.add(notice.receiver)
        else:
            tried = notice.delivered(clock(), refused)
            delivered.append(tried)
        book = book.tried(tried)
        write_book(store, book)
    return book, delivered, failed


def _receivers_of(settings: AlertSettings, use_case: str) -> list[AnyReceiver]:
    return [one for one in settings.receivers if not one.use_cases or use_case in one.use_cases]
