"""Alerts: one for one cause, open while its check fails, and when each receiver is to be told of it.

A cause is one check of one asset, about one arm or one part of what it judges. Everything here is pure: evaluations and
the time come in, the alert as it then stands goes out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from lake.documents import Document, sha256
from lake.times import rfc3339, utc

Severity = Literal["warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("warning", "error")
Kind = Literal["opened", "worse", "still open", "resolved", "test"]

_NAME = 16


class Statement(Document, frozen=True, kw_only=True):
    """What one evaluation of a check says of one cause; `about` is an arm, or another part, or empty for all that is judged."""

    use_case: str
    asset: str
    check: str
    at_utc: str
    passed: bool
    about: str = ""
    severity: Severity = "warning"
    seen: str = ""
    expected: str = ""
    observed: float | None = None
    limit: float | None = None
    rows: int | None = None
    remedy: str | None = None

    @property
    def cause(self) -> str:
        """What an alert is open for, at most one at a time."""
        return f"{self.asset}/{self.check}/{self.about}"

    @property
    def distance(self) -> float | None:
        """How far what was seen is from its limit."""
        return None if self.observed is None or self.limit is None else abs(self.observed - self.limit)


class Told(Document, frozen=True, kw_only=True):
    """What one receiver was last told of an alert, and how often it was told anything."""

    at_utc: str
    severity: Severity
    distance: float | None = None
    times: int = 1


class Alert(Document, frozen=True, kw_only=True):
    """A cause that stands: what was found last, since when, and what each receiver was told, by its name."""

    id: str
    statement: Statement
    since_utc: str
    told: dict[str, Told] = msgspec.field(default_factory=dict)


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation of one check, with a statement for each cause that it spoke of."""

    asset: str
    check: str
    at_utc: str
    statements: Sequence[Statement]


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """When an alert that is open is told again: after this time, or when it is so many times as far from its limit."""

    again_after: timedelta = timedelta(hours=24)
    worse_by: float = 2.0


def opened(statement: Statement) -> Alert:
    """A new alert; its name is made of cause and time, so that the same evaluation opens the same one."""
    name = sha256(f"{statement.use_case}/{statement.cause}/{statement.at_utc}".encode())[:_NAME]
    return Alert(id=name, statement=statement, since_utc=statement.at_utc)


def followed(alerts: Sequence[Alert], evaluated: Evaluated) -> tuple[list[Alert], list[Alert]]:
    """The open alerts after an evaluation, and those that it ended, each with what ended it.

    What a check speaks of no more has ended too, as an arm that is gone.
    """
    failing = {one.cause: one for one in evaluated.statements if not one.passed}
    passing = {one.cause: one for one in evaluated.statements if one.passed}
    still, ended = [], []
    for alert in alerts:
        if (alert.statement.asset, alert.statement.check) != (evaluated.asset, evaluated.check):
            still.append(alert)
        elif (statement := failing.pop(alert.statement.cause, None)) is not None:
            still.append(msgspec.structs.replace(alert, statement=statement))
        else:
            gone = msgspec.structs.replace(
                alert.statement, at_utc=evaluated.at_utc, passed=True, seen="the check speaks of it no more", remedy=None
            )
            ended.append(msgspec.structs.replace(alert, statement=passing.get(alert.statement.cause, gone)))
    return still + [opened(statement) for statement in failing.values()], ended


def due(alert: Alert, told: Told | None, now: datetime, telling: Telling) -> Kind | None:
    """What a receiver is to be told of an open alert now, or None."""
    if told is None:
        return "opened"
    if _is_worse(alert.statement, told, telling):
        return "worse"
    return "still open" if now - utc(told.at_utc) >= telling.again_after else None


def told_now(alert: Alert, told: Told | None, now: datetime) -> Told:
    """What a receiver has been told, once it is told how the alert stands."""
    statement, times = alert.statement, 0 if told is None else told.times
    return Told(at_utc=rfc3339(now), severity=statement.severity, distance=statement.distance, times=times + 1)


def _is_worse(statement: Statement, told: Told, telling: Telling) -> bool:
    if statement.severity != told.severity:
        return SEVERITIES.index(statement.severity) > SEVERITIES.index(told.severity)
    if statement.distance is None or not told.distance:
        return False
    return statement.distance >= telling.worse_by * told.distance
