"""The book of alerts of one use case: what is open, what waits for its receiver, and up to where evaluations were read.

It is one document of the lake, `<use case>/alerts.json`, replaced at once: an evaluation is not taken without the notices
that it causes, and nothing that waits is lost, whenever a process is killed. One that is killed between a delivery and
its entry delivers again, under the same id.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from checks.alerts import Alert, Evaluated, Kind, Telling, due, followed, told_now
from lake.documents import Document, DocumentStore, canonical, decoded
from lake.heartbeat import Heartbeat
from lake.times import rfc3339, utc
from trainserve_assets.alerts.receivers import AnyReceiver

_DELIVERED_KEPT = 200
_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 3_600.0


class Notice(Document, frozen=True, kw_only=True):
    """One thing that one receiver is told of an alert. A receiver that gets an `id` twice was told the same twice."""

    id: str
    receiver: str
    kind: Kind
    alert: Alert
    at_utc: str
    attempts: int = 0
    next_try_utc: str | None = None
    why: str = ""
    delivered_at_utc: str | None = None

    def failed(self, now: datetime, why: str) -> "Notice":
        """After an attempt that failed: it is tried again after twice the pause of before, at most an hour."""
        pause_s = min(_PAUSE_S * 2**self.attempts, _LONGEST_PAUSE_S)
        next_try = rfc3339(now + timedelta(seconds=pause_s))
        return msgspec.structs.replace(self, attempts=self.attempts + 1, next_try_utc=next_try, why=why)

    def delivered(self, now: datetime, why: str) -> "Notice":
        """After an attempt that succeeded; `why` says for whom it did not, where that is so."""
        at = rfc3339(now)
        return msgspec.structs.replace(self, attempts=self.attempts + 1, next_try_utc=None, why=why, delivered_at_utc=at)


class AlertBook(Document, frozen=True, kw_only=True):
    """`read_until` is the time (seconds since 1970) of the newest evaluation of each check that was taken, by asset and check."""

    use_case: str
    read_until: dict[str, float] = msgspec.field(default_factory=dict)
    open: tuple[Alert, ...] = ()
    waiting: tuple[Notice, ...] = ()
    delivered: tuple[Notice, ...] = ()
    format_version: int = 1

    def taken(self, evaluated: Evaluated, receivers: Sequence[AnyReceiver], now: datetime) -> "AlertBook":
        """The book after an evaluation, with a notice of each end for each receiver that was told of the beginning."""
        still, ended = followed(self.open, evaluated)
        ends = (_notice(alert, one, "resolved", now) for alert in ended for one in receivers if one.name in alert.told)
        return msgspec.structs.replace(self, open=tuple(still), waiting=(*self.waiting, *ends))

    def noticed(self, receivers: Sequence[AnyReceiver], now: datetime, telling: Telling) -> "AlertBook":
        """The book with a notice for each receiver that is to hear of an open alert now.

        One that was not told yet, since it was down, is told no second time that the same is still open. What waits for a
        receiver that is not named any more is dropped.
        """
        known = {one.name for one in receivers}
        notices = [one for one in self.waiting if one.receiver in known]
        unheard = {(one.receiver, one.alert.id) for one in notices}
        alerts = []
        for alert in self.open:
            told = dict(alert.told)
            for receiver in receivers:
                before = told.get(receiver.name)
                kind = due(alert, before, now, telling) if receiver.wants(alert.statement) else None
                if kind is None or (kind == "still open" and (receiver.name, alert.id) in unheard):
                    continue
                notices.append(_notice(alert, receiver, kind, now))
                told[receiver.name] = told_now(alert, before, now)
            alerts.append(msgspec.structs.replace(alert, told=told))
        return msgspec.structs.replace(self, open=tuple(alerts), waiting=tuple(notices))

    def due(self, now: datetime) -> Iterator[Notice]:
        """The notices whose time has come, the oldest first; of one alert and receiver no later one before an earlier one."""
        held = set()
        for notice in self.waiting:
            about = (notice.receiver, notice.alert.id)
            if about not in held and (notice.next_try_utc is None or utc(notice.next_try_utc) <= now):
                yield notice
            held.add(about)

    def tried(self, notice: Notice) -> "AlertBook":
        """The book after an attempt at one of its notices."""
        if notice.delivered_at_utc is None:
            waiting = tuple(notice if one.id == notice.id else one for one in self.waiting)
            return msgspec.structs.replace(self, waiting=waiting)
        waiting = tuple(one for one in self.waiting if one.id != notice.id)
        return msgspec.structs.replace(self, waiting=waiting, delivered=(*self.delivered, notice)[-_DELIVERED_KEPT:])

    def heartbeat(self, now: datetime) -> Heartbeat:
        """The sign of life that goes with the book as it stands."""
        errors = sum(alert.statement.severity == "error" for alert in self.open)
        return Heartbeat(
            use_case=self.use_case,
            at_utc=rfc3339(now),
            open_warnings=len(self.open) - errors,
            open_errors=errors,
            waiting=len(self.waiting),
            waits_since_utc=min((notice.at_utc for notice in self.waiting), default=None),
        )


def read_book(store: DocumentStore, use_case: str) -> AlertBook:
    """The book as it stands; an empty one before the first alert. Raises Unavailable, VerificationError."""
    data = store.find(_path(use_case))
    return AlertBook(use_case=use_case) if data is None else decoded(data, f"the alerts of {use_case!r}", AlertBook)


def write_book(store: DocumentStore, book: AlertBook) -> None:
    """Replace the book, durably and at once. Safe to run twice."""
    store.put(_path(book.use_case), canonical(book))


def _notice(alert: Alert, receiver: AnyReceiver, kind: Kind, now: datetime) -> Notice:
    before = alert.told.get(receiver.name)
    number = 1 + (0 if before is None else before.times)
    return Notice(
        id=f"{alert.id}-{receiver.name}-{number}",
        receiver=receiver.name,
        kind=kind,
        alert=msgspec.structs.replace(alert, told={}),
        at_utc=rfc3339(now),
    )


def _path(use_case: str) -> str:
    return f"{use_case}/alerts.json"
