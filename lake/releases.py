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
    takes a package off every arm, and for good: the arm falls back to what it served before. A roll back makes an
    earlier approval of this package live again on its arm. A rejection changes nothing.
    """
    history: dict[str, list[Release]] = {}
    revoked: set[str] = set()
    for entry in entries:
        decision = entry.decision
        match decision.decision:
            case "approve" | "roll back":
                release = _release(entry)
                revoked.discard(release.package_digest)
                if release.role == "champion":
                    for arm, served in history.items():
                        if arm != release.arm and served and served[-1].role == "champion":
                            history[arm] = []
                history.setdefault(release.arm, []).append(release)
            case "revoke":
                revoked.add(decision.package_digest)
                for arm, served in history.items():
                    history[arm] = [release for release in served if release.package_digest not in revoked]
            case "reject":
                pass
    return Live({arm: served[-1] for arm, served in sorted(history.items()) if served})


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
