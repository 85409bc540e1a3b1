"""What a replay has shown: all alerts and all faults as they were found, and the table that is made of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

import msgspec

from tests.replay.alerts import TRAFFIC, Alert
from tests.replay.faults import Found

DRIFT = "inputs_look_like_training"
PERFORMANCE = (
    "answers_are_calibrated",
    "answers_beat_the_base_rate",
    "calibrated_in_every_slice",
    "base_rate_beaten_in_every_slice",
)
MOST_TRAFFIC_A_WEEK, TRAFFIC_MINUTES = 0.2, 10
_DAY_MINUTES, _A_DAY = 1440, timedelta(days=1)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One champion's half year."""

    trained_until: date
    first: date
    until: date
    alerts: tuple[Alert, ...]

    @property
    def weeks(self) -> float:
        """How long it lasted."""
        return (self.until - self.first).days / 7

    def with_alerts(self, more: Iterable[Alert]) -> "Replayed":
        """The same with more alerts, in order."""
        return msgspec.structs.replace(self, alerts=tuple(sorted([*self.alerts, *more], key=lambda one: one.first)))

    def of(self, *checks: str) -> list[Alert]:
        """The alerts of these checks."""
        return [alert for alert in self.alerts if alert.check in checks]

    def errors(self, first: date, last: date, *checks: str) -> list[Alert]:
        """Those of them that are errors and were told on these days."""
        return [one for one in self.of(*checks) if one.severity == "error" and first <= one.first.date() <= last]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, with nothing left out."""

    replays: tuple[Replayed, ...]
    faults: tuple[Found, ...]
    format_version: int = 1


class Shown(NamedTuple):
    """Something that a replay must show, whether it did, and what was seen."""

    what: str
    holds: bool
    seen: str


def shown(report: Report) -> Iterator[Shown]:
    """What must be shown, in order."""
    may, june = sorted(report.replays, key=lambda one: one.trained_until)
    year = june.first.year
    yield _error("trained to June: an error of calibration by 12 September", june, date(year, 9, 1), date(year, 9, 12))
    yield _error("trained to June: an error of calibration in December", june, date(year, 12, 1), date(year, 12, 31))
    early = june.errors(june.first, date(year, 8, 31), *PERFORMANCE)
    yield Shown("trained to June: no error on performance in July and August", not early, _days(early) or "none")
    yield _error("trained to May: an error of calibration by 20 July", may, may.first, date(year, 7, 20))
    for name, one in (("June", june), ("May", may)):
        drift = one.of(DRIFT)
        worst = "an error" if any(alert.severity == "error" for alert in drift) else f"{len(drift)} warnings"
        yield Shown(f"trained to {name}: input drift is never above a warning", worst != "an error", worst)
        traffic = _apart(one.of(*TRAFFIC))
        a_week = len(traffic) / one.weeks
        seen = f"{a_week:.2f}: {_days(traffic)}" if traffic else "none"
        yield Shown(f"trained to {name}: traffic alerts at most 0.2 a week", a_week <= MOST_TRAFFIC_A_WEEK, seen)
    for fault in dict.fromkeys(found.fault for found in report.faults):
        yield _fault(fault, [found for found in report.faults if found.fault == fault])


def _error(what: str, replay: Replayed, first: date, last: date) -> Shown:
    found = replay.errors(first, last, PERFORMANCE[0])
    return Shown(what, bool(found), _days(found) or "none")


def _apart(alerts: Sequence[Alert]) -> list[Alert]:
    """The first alert of each incident: what is told within a day of the last is part of it."""
    ordered = sorted(alerts, key=lambda one: one.first)
    pairs = zip([None, *ordered], ordered, strict=False)
    return [now for before, now in pairs if before is None or now.first - before.last > _A_DAY]


def _days(alerts: Sequence[Alert]) -> str:
    return ", ".join(f"{alert.first:%-d %B}" for alert in alerts)


def _fault(name: str, found: Sequence[Found]) -> Shown:
    minutes = [one.minutes for one in found if one.minutes is not None]
    if len(minutes) < len(found) or not minutes:
        missed = ", ".join(f"{one.began:%-d %B}" for one in found if one.minutes is None)
        return Shown(name, holds=False, seen=f"found on {len(minutes)} of {len(found)} days, not on {missed}")
    checks = ", ".join(sorted({check for one in found for check in one.checks}))
    within = f"within {_span(median(minutes))}, at most {_span(max(minutes))}, on {len(found)} of {len(found)} days: {checks}"
    by_the_minute = all(one.is_traffic for one in found)
    return Shown(name, not by_the_minute or max(minutes) <= TRAFFIC_MINUTES, within)


def _span(minutes: float) -> str:
    if minutes < _DAY_MINUTES:
        return f"{minutes:.0f} minutes"
    return "a day" if minutes == _DAY_MINUTES else f"{minutes / _DAY_MINUTES:g} days"


def markdown(report: Report) -> str:
    """The tables of the page: what was to be shown; and all alerts of the half year, by check."""
    lines = ["| what must be shown | holds | seen |", "|---|---|---|"]
    lines += [f"| {one.what} | {'yes' if one.holds else '**no**'} | {one.seen} |" for one in shown(report)]
    lines += ["", f"All alerts of the half year, {report.replays[0].weeks:.0f} weeks:", ""]
    lines += [f"| check | {' | '.join(_heading(one) for one in report.replays)} |", f"|---|{'---|' * len(report.replays)}"]
    counted = [Counter((alert.check, alert.severity) for alert in one.alerts) for one in report.replays]
    for check, severity in sorted({key for counter in counted for key in counter}):
        seen = [_counted(one, check, severity) for one in report.replays]
        lines.append(f"| {check}, {severity} | {' | '.join(seen)} |")
    lines.append(f"| all | {' | '.join(str(len(one.alerts)) for one in report.replays)} |")
    return "\n".join(lines)


def _heading(replay: Replayed) -> str:
    return f"trained until {replay.trained_until}"


def _counted(replay: Replayed, check: str, severity: str) -> str:
    mine = [alert for alert in replay.of(check) if alert.severity == severity]
    spans = ", ".join(f"{one.first:%-d %b} to {one.last:%-d %b}" for one in mine)
    return f"{len(mine)}: {spans}" if mine else "0"
