"""Whether everything that answered was released: the log against the ledger, and predictors against the ledger."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from checks.verdict import Verdict
from lake.release.ledger import Entry
from lake.release.live import Live, fold

CHANGEOVER = timedelta(seconds=60)
_SHOWN = 12


class Answerer(msgspec.Struct, frozen=True, kw_only=True):
    """A package as it answered in the log: on which arm, by which release, from when to when, how often."""

    arm: str
    package_digest: str
    release_seq: int
    first_utc: datetime
    last_utc: datetime
    rows: int


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What one predictor, started for an arm, says it serves.

    `package_digest` is None when it serves nothing, and `problem` says why; `served_arm` is the arm that it names itself.
    """

    arm: str
    url: str
    served_arm: str | None = None
    package_digest: str | None = None
    release_seq: int | None = None
    model_version: str | None = None
    approver: str | None = None
    problem: str | None = None


class LiveSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A release on its arm, live from one event of the ledger until another; `until_utc` is None while it lasts."""

    arm: str
    package_digest: str
    release_seq: int
    from_utc: datetime
    until_utc: datetime | None


def live_spans(entries: Sequence[Entry]) -> list[LiveSpan]:
    """When each release was live, by folding the ledger event after event."""
    spans: list[LiveSpan] = []
    current: dict[tuple[str, str, int], datetime] = {}
    for number, entry in enumerate(entries, start=1):
        at = datetime.fromisoformat(entry.event.at_utc)
        live = {(one.arm, one.package_digest, one.seq) for one in fold(entries[:number]).releases.values()}
        spans += [_span(ended, current[ended], at) for ended in sorted(set(current) - live)]
        current = {key: current.get(key, at) for key in live}
    return spans + [_span(key, since, None) for key, since in sorted(current.items())]


def every_logged_digest_was_live(answerers: Sequence[Answerer], entries: Sequence[Entry]) -> Verdict:
    """Whether each package answered only by a release on its arm, while that was live.

    A minute is allowed for the change-over: a request in flight finishes on the old model, and clocks differ.
    """
    rows = sum(one.rows for one in answerers)
    if not answerers:
        return Verdict(passed=False, reason="no answer has been logged", limit=0.0)
    spans = live_spans(entries)
    strangers = [one for one in answerers if not any(_covers(span, one) for span in spans)]
    wrong = sum(one.rows for one in strangers)
    named = "; ".join(
        f"{one.package_digest[:_SHOWN]} on arm {one.arm!r} as release {one.release_seq}, {one.first_utc:%Y-%m-%d %H:%M} to "
        f"{one.last_utc:%Y-%m-%d %H:%M}, {one.rows:,} rows"
        for one in strangers[:3]
    )
    reason = f"{wrong:,} of {rows:,} answers came from a package that the ledger did not show live" + (
        f": {named}" if named else ""
    )
    return Verdict(
        passed=not strangers,
        reason=reason,
        observed=float(wrong),
        limit=0.0,
        rows=rows,
        remedy="roll back" if strangers else None,
    )


def predictors_serve_what_was_released(served: Sequence[Served], entries: Sequence[Entry], now: datetime) -> Verdict:
    """Whether each predictor serves what the ledger shows live on its arm, and each live arm has a predictor.

    For a minute after an event of the ledger a predictor may still be loading, and passes.
    """
    if not served:
        reason = "no predictor is known: name them in TRAINSERVE_PREDICTORS"
        return Verdict(passed=False, reason=reason, limit=0.0, remedy="fix the source")
    live = fold(entries)
    wrong = [*_disagreements(served, live)]
    reason = f"{len(wrong)} disagreements between {len(served)} predictors and {len(live.releases)} live releases"
    if wrong:
        reason += ": " + "; ".join(wrong)
    age = now - datetime.fromisoformat(entries[-1].event.at_utc) if entries else CHANGEOVER
    loading = bool(wrong) and age < CHANGEOVER
    if loading:
        reason += f"; the ledger changed {age.total_seconds():.0f} s ago, so they may still be loading"
    passed = loading or not wrong
    return Verdict(
        passed=passed,
        reason=reason,
        observed=float(len(wrong)),
        limit=0.0,
        rows=len(served),
        remedy=None if passed else "fix the source",
    )


def _disagreements(served: Sequence[Served], live: Live) -> Iterable[str]:
    for one in served:
        release = live.on(one.arm)
        expected = "nothing" if release is None else f"{release.package_digest[:_SHOWN]} as release {release.seq}"
        found = "nothing" if one.package_digest is None else f"{one.package_digest[:_SHOWN]} as release {one.release_seq}"
        if one.served_arm not in (None, one.arm):
            yield f"the predictor of arm {one.arm!r} at {one.url} serves arm {one.served_arm!r}"
        if found != expected:
            why = f" ({one.problem})" if one.problem else ""
            yield f"arm {one.arm!r} at {one.url} serves {found}{why}, expected {expected}"
    for arm in sorted(set(live.releases) - {one.arm for one in served}):
        yield f"no predictor is known for live arm {arm!r}"


def _span(key: tuple[str, str, int], since: datetime, until: datetime | None) -> LiveSpan:
    arm, digest, seq = key
    return LiveSpan(arm=arm, package_digest=digest, release_seq=seq, from_utc=since, until_utc=until)


def _covers(span: LiveSpan, one: Answerer) -> bool:
    return (
        (span.arm, span.package_digest, span.release_seq) == (one.arm, one.package_digest, one.release_seq)
        and span.from_utc - CHANGEOVER <= one.first_utc
        and (span.until_utc is None or one.last_utc <= span.until_utc + CHANGEOVER)
    )
