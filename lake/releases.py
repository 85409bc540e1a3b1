"""What is live: a fold over the ledger's events, pure and the same for every reader."""

from collections.abc import Iterable, Sequence

import msgspec

from lake.ledger import Entry, Role


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One approved package on one arm, and the event that made it live."""

    seq: int
    at_utc: str
    role: Role
    arm: str
    package_digest: str
    evaluation_id: str
    model_version: str
    approver: str
    identity: str
    greatest_share: float
    expires_at_utc: str | None


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


def fold(entries: Iterable[Entry]) -> Live:
    """What is live after these events.

    An approval replaces what its arm served; a new champion also ends the champion of any other arm. A revocation
    takes a package off every arm, and each falls back to what it served before; only a new approval brings the package
    back. A roll back makes an approval of this package, for this arm and role, live again, and does nothing where there
    is none or where it was revoked. A rejection changes nothing.
    """
    history: dict[str, list[Release]] = {}
    approved: set[tuple[str, str, Role]] = set()
    for entry in entries:
        decision = entry.decision
        place = (decision.package_digest, decision.arm, decision.role)
        match decision.decision:
            case "approve":
                approved.add(place)
                _serve(history, _release(entry))
            case "roll back":
                if place in approved:
                    _serve(history, _release(entry))
            case "revoke":
                approved = {other for other in approved if other[0] != decision.package_digest}
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


def next_version(entries: Sequence[Entry]) -> int:
    """The X of the version `name X.Y.Z-data.split` that the next approval gets: approvals are counted."""
    return 1 + sum(entry.decision.decision == "approve" for entry in entries)


def _release(entry: Entry) -> Release:
    decision = entry.decision
    return Release(
        seq=entry.event.seq,
        at_utc=entry.event.at_utc,
        role=decision.role,
        arm=decision.arm,
        package_digest=decision.package_digest,
        evaluation_id=decision.evaluation_id,
        model_version=decision.model_version,
        approver=decision.approver,
        identity=decision.identity,
        greatest_share=decision.greatest_share,
        expires_at_utc=decision.expires_at_utc,
    )
