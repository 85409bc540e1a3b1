"""What the checks say at one look, and what comes of many: one alert for each cause, from when it is told until it is not."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from trainserve_assets.assets.window_checks import CLAIMS
from trainserve_assets.claims import traffic
from trainserve_assets.claims.seen import ERROR, Seen

TRAFFIC = tuple(traffic.CLAIMS)
DAILY = tuple(name for name in CLAIMS if name not in TRAFFIC)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that fails at one look."""

    check: str
    about: str
    severity: str
    reason: str


class Alert(msgspec.Struct, kw_only=True):
    """A cause that failed at every look from the first to the last; `reason` is what was said first."""

    check: str
    about: str
    severity: str
    first: datetime
    last: datetime
    reason: str


def look(seen: Seen, names: Iterable[str]) -> list[Finding]:
    """What fails now. A failure for want of evidence says that nothing can be said yet: it is none here."""
    found = []
    for name in names:
        for about, verdict in CLAIMS[name].decide(seen).items():
            if not verdict.passed and verdict.observed is not None:
                severity = "error" if CLAIMS[name].severity == ERROR and not verdict.provisional else "warning"
                found.append(Finding(check=name, about=about, severity=severity, reason=verdict.reason))
    return found


_Cause = tuple[str, str, str]


class Book:
    """The alerts of a replay: open while their cause fails. A warning that becomes an error is two."""

    def __init__(self) -> None:
        self._open: dict[_Cause, Alert] = {}
        self._ended: list[Alert] = []

    def note(self, now: datetime, names: Iterable[str], findings: Iterable[Finding]) -> None:
        """What a look at these checks found."""
        failing: Mapping[_Cause, Finding] = {(one.check, one.about, one.severity): one for one in findings}
        for cause in [cause for cause in self._open if cause[0] in {*names} and cause not in failing]:
            self._ended.append(self._open.pop(cause))
        for cause, one in failing.items():
            alert = self._open.get(cause)
            if alert is None:
                fields = {name: getattr(one, name) for name in ("check", "about", "severity", "reason")}
                alert = self._open[cause] = Alert(first=now, last=now, **fields)
            alert.last = now

    @property
    def alerts(self) -> list[Alert]:
        """All of them, in the order in which they were told."""
        return sorted([*self._ended, *self._open.values()], key=lambda alert: (alert.first, alert.check, alert.about))
