"""What is live: a fold over the ledger's events, pure and the same for every reader."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from lake.release.decision import RiskTier, Role
from lake.release.ledger import Entry, Identity
from lake.times import utc

_TIERS: tuple[RiskTier, ...] = ("low", "medium", "high")


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One approved package on one arm, and the event that made it live.

    `approvers` are those who signed; when none did, the one whose name is claimed. It expires at its own term, its tier's
    or its waivers', whichever is first.
    """

    seq: int
    at_utc: str
    role: Role
    arm: str
    package_digest: str
    evaluation_id: str
    model_version: str
    approvers: tuple[str, ...]
    identity: Identity
    greatest_share: float
    expires_at_utc: str | None

    @property
    def approver(self) -> str:
        """Who approved it, in one text."""
        return " and ".join(self.approvers)

    def remaining(self, now: datetime) -> timedelta | None:
        """How long it lasts still, negative once it has expired; None when it never does."""
        return None if self.expires_at_utc is None else utc(self.expires_at_utc) - now

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        remaining = self.remaining(now)
        return remaining is not None and remaining <= timedelta()


class Live(msgspec.Struct, frozen=True):
    """The releases that may answer: at most one for each arm, at most one champion."""

    releases: dict[str, Release]

    def on(self, arm: str) -> Release | None:
        """The release that this arm serves."""
        return self.releases.get(arm)

    @property
    def champion(self) -> Release | None:
        """The release whose answer counts."""
        return next((release for release in self.releases.values() if release.role == "champion"), None)


def tier_of(live: Live, entries: Sequence[Entry]) -> RiskTier:
    """How much hangs on what is live after these events; before the first release nobody knows, so the most."""
    tiers = [entries[release.seq - 1].decision.risk_tier for release in live.releases.values()]
    return max(tiers, key=_TIERS.index, default="high")


def fold(entries: Iterable[Entry]) -> Live:
    """What is live after these events.

    An approval replaces what its arm served; a new champion also ends the champion of any other arm. A revocation
    takes a package off every arm, and each falls back to what it served before; only a new approval brings the package
    back. A roll back makes an approval of this package, for this arm and role, live again, within the term and share
    that it had, and does nothing where there is none or where it was revoked. A rejection changes nothing.
    """
    history: dict[str, list[Release]] = {}
    approved: dict[tuple[str, str, Role], Release] = {}
    approvals = 0
    for entry in entries:
        decision = entry.decision
        place = (decision.package_digest, decision.arm, decision.role)
        match decision.decision:
            case "approve":
                approvals += 1
                approved[place] = _release(entry, approvals)
                _serve(history, approved[place])
            case "roll back":
                if place in approved:
                    _serve(history, _again(entry, approved[place]))
            case "revoke":
                approved = {place: release for place, release in approved.items() if place[0] != decision.package_digest}
                for arm, served in history.items():
                    history[arm] = [release for release in served if release.package_digest != decision.package_digest]
            case "reject":
                pass
    return Live({arm: served[-1] for arm, served in sorted(history.items()) if served})


def revoked(entries: Iterable[Entry]) -> set[str]:
    """The packages that were revoked and not approved again since: none of them may answer, whatever else fails."""
    packages: set[str] = set()
    for entry in entries:
        if entry.decision.decision == "revoke":
            packages.add(entry.decision.package_digest)
        elif entry.decision.decision == "approve":
            packages.discard(entry.decision.package_digest)
    return packages


def _serve(history: dict[str, list[Release]], release: Release) -> None:
    """Put the release on its arm. No other arm may fall back to a champion afterwards."""
    if release.role == "champion":
        for arm, served in history.items():
            if arm != release.arm:
                ended = bool(served) and served[-1].role == "champion"
                history[arm] = [] if ended else [former for former in served if former.role != "champion"]
    history.setdefault(release.arm, []).append(release)


def released_version(version: str, number: int) -> str:
    """A candidate's version, `name 0.Y.Z-data.split`, as that of the approval of this number, counted from 1."""
    name, space, numbers = version.rpartition(" ")
    return f"{name} {number}.{numbers.partition('.')[2]}" if space else version


def _release(entry: Entry, number: int) -> Release:
    decision = entry.decision
    return Release(
        seq=entry.event.seq,
        at_utc=entry.event.at_utc,
        role=decision.role,
        arm=decision.arm,
        package_digest=decision.package_digest,
        evaluation_id=decision.evaluation_id,
        model_version=released_version(decision.model_version, number),
        approvers=entry.signers or (decision.approver,),
        identity=entry.event.identity,
        greatest_share=decision.greatest_share,
        expires_at_utc=entry.expires_at_utc,
    )


def _again(entry: Entry, approval: Release) -> Release:
    """What a roll back makes live: the approval's release under the new event, never longer or wider than it was."""
    terms = [term for term in (entry.expires_at_utc, approval.expires_at_utc) if term is not None]
    return msgspec.structs.replace(
        _release(entry, 0),
        model_version=approval.model_version,
        greatest_share=min(entry.decision.greatest_share, approval.greatest_share),
        expires_at_utc=min(terms, key=utc, default=None),
    )
