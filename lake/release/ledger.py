"""The ledger of releases: a hash chain of signed events, one file each, `releases/<seq>.json`.

An event is a DSSE envelope signed by the platform's key. It links to the bytes of the event before it, and carries
the decision in an envelope of its own, signed by approvers where the policy asks for it. Files are written with
put-if-absent, so that of two writers exactly one wins. Whoever can write to the lake but holds no key can release nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from lake.documents import Document, DocumentReader, DocumentStore, canonical, sha256
from lake.errors import Conflict, SettingError, TrainServeError, VerificationError
from lake.release.decision import DECISION_TYPE, Decision, statement_bytes
from lake.release.heads import Head, keep_head, read_head
from lake.release.policy import Policy
from lake.release.signatures import PlatformKey, rewritten
from lake.release.trust import EVENT_TYPE, Trust
from lake.times import Clock, now_utc, rfc3339, utc

Identity = Literal["claimed", "signed"]
# Clocks differ by seconds; an event from further ahead says that its writer's clock is wrong, or the reader's.
CLOCK_TOLERANCE = timedelta(minutes=5)


class Event(Document, frozen=True, kw_only=True):
    """One entry of the ledger. `previous` is the digest of the entry before it; `decision` is its envelope.

    `launcher` is who launched the run that recorded it. `identity` says how the approver is known: "claimed" by the run's
    config, or "signed" with keys of approvers.
    """

    seq: int
    previous: str
    at_utc: str
    launcher: str
    decision: dict[str, Any]
    identity: Identity = "claimed"
    format_version: int = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A verified event, its decision opened, who signed that, when what it approves expires, and the digest of its bytes."""

    event: Event
    decision: Decision
    digest: str
    signers: tuple[str, ...] = ()
    expires_at_utc: str | None = None


class Ledger:
    """A verified, growing view of one use case's ledger.

    `poll` reads what was appended since; each entry is checked once: signatures, link, time, decision, policy. With
    `heads` given, the highest head is kept in that folder, outside the lake, so that a ledger whose tail was cut is
    noticed, also after a restart.
    """

    def __init__(
        self, store: DocumentReader, use_case: str, trust: Trust, heads: Path | None = None, clock: Clock = now_utc
    ) -> None:
        self._store = store
        self._use_case = use_case
        self._trust = trust
        self._heads = None if heads is None else _head_path(heads, use_case)
        self._clock = clock
        self.entries: list[Entry] = []

    @property
    def head(self) -> Head:
        """The newest verified entry."""
        return _head(self.entries)

    @property
    def policy(self) -> Policy:
        """The policy that is in force now."""
        return self._trust.policy_at(self._clock()).policy

    def poll(self) -> bool:
        """Read and verify what is new; returns whether anything was.

        Raises VerificationError at the first entry that does not hold, and keeps those before it, so that no bad entry
        hides a revocation; so too with trusted files that cannot be read any more. A ledger that is shorter or other than
        the one seen before adds nothing at all.
        """
        failure: TrainServeError | None = None
        try:
            self._trust.refresh()
        except (SettingError, VerificationError) as error:
            failure = error
        seen = self._seen()  # first: another reader of this home may be ahead
        entries = list(self.entries)
        try:
            while (data := self._store.find(_path(self._use_case, len(entries) + 1))) is not None:
                entries.append(self._verified(data, entries))
        except (SettingError, VerificationError) as error:
            failure = failure or error
        self._check_seen_head(seen, entries, failure)
        grown = len(entries) > len(self.entries)
        self.entries = entries
        if self._heads is not None and seen.seq < len(entries):
            keep_head(self._heads, self.head)  # last: what is new counts also when this disk is full
        if failure is not None:
            raise failure
        return grown

    def append(
        self, decision: Decision, launcher: str, at_utc: str, key: PlatformKey, envelope: dict[str, Any] | None = None
    ) -> Entry:
        """Sign and write the next event, if every reader will accept it.

        `envelope` holds the decision as approvers signed it; without one the platform signs for it. Raises
        VerificationError, and Conflict when another writer took its number, or the ledger was cut; then nothing was written.
        """
        if not isinstance(self._store, DocumentStore):
            raise TypeError("a ledger is appended to in the lake, not in a copy")
        self._trust.refresh()
        head = self.head
        seen = self._seen()
        if seen.seq > head.seq:
            raise Conflict(f"the ledger of {self._use_case!r}", f"{head.seq} events", f"{seen.seq}, as were seen before")
        event = Event(
            seq=head.seq + 1,
            previous=head.digest,
            at_utc=at_utc,
            launcher=launcher,
            decision=envelope or key.seal(statement_bytes(decision), DECISION_TYPE),
            identity="claimed" if envelope is None else "signed",
        )
        data = canonical(key.seal(canonical(event), EVENT_TYPE))
        if self._verified(data, self.entries).decision != decision:
            raise VerificationError("the signatures", "another decision under them", "the decision that is to be recorded")
        self._store.put_new(_path(self._use_case, event.seq), data)
        self.poll()
        return self.entries[event.seq - 1]

    def _seen(self) -> Head:
        """The highest head that any reader of this home has seen."""
        return Head() if self._heads is None else read_head(self._heads)

    def _verified(self, data: bytes, before: Sequence[Entry]) -> Entry:
        head = _head(before)
        what = f"event {head.seq + 1} of the ledger of {self._use_case!r}"
        try:
            envelope = msgspec.json.decode(data)
            payload, keyids = self._trust.open_event(envelope, what)
            event = msgspec.json.decode(payload, type=Event)
            at = utc(event.at_utc)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise VerificationError(what, f"unreadable ({error})", "a signed event") from error
        if rewritten(envelope) != data:
            raise VerificationError(what, "bytes around the signed ones", "the bytes that were written with them")
        if event.seq != head.seq + 1:
            raise VerificationError(what, f"event {event.seq}", f"event {head.seq + 1}")
        if event.previous != head.digest:
            raise VerificationError(what, f"a link to {event.previous[:12]}", f"a link to {head.digest[:12]}")
        self._check_time(at, before, what)
        self._trust.check_platform(keyids, at, what)
        decision, signers = self._trust.open_decision(event.decision, at, f"the decision of {what}")
        if event.identity != ("signed" if signers else "claimed"):
            raise VerificationError(what, f"identity {event.identity!r}", f"what {len(signers)} signatures of approvers prove")
        if decision.use_case != self._use_case:
            raise VerificationError(what, f"a decision for {decision.use_case!r}", f"one for {self._use_case!r}")
        if any(decision.nonce == entry.decision.nonce for entry in before):
            raise VerificationError(what, "a nonce that was used before", "a decision that was not recorded yet")
        expires = self._trust.policy_at(at).policy.expiry_of(decision, at)
        if decision.decision in ("approve", "roll back") and expires <= at:
            raise VerificationError(what, f"a release that expired at {rfc3339(expires)}", f"one that outlasts {event.at_utc}")
        return Entry(
            event=event,
            decision=decision,
            digest=sha256(data),
            signers=tuple(sorted(signers)),
            expires_at_utc=rfc3339(expires),
        )

    def _check_time(self, at: datetime, before: Sequence[Entry], what: str) -> None:
        """Raises VerificationError when the event's clock was behind the ledger, or is ahead of this machine's."""
        last = before[-1].event.at_utc if before else None
        if last is not None and at < utc(last):
            raise VerificationError(what, f"the time {rfc3339(at)}", f"one not before the last event's, {last}")
        now = self._clock()
        if at > now + CLOCK_TOLERANCE:
            expected = f"one not after this machine's clock, {rfc3339(now)} (set whichever clock is wrong)"
            raise VerificationError(what, f"the time {rfc3339(at)}", expected)

    def _check_seen_head(self, seen: Head, entries: Sequence[Entry], failure: TrainServeError | None) -> None:
        """Raises VerificationError unless these entries go on from the head seen before; `failure` is why there are no more."""
        what = f"the ledger of {self._use_case!r}"
        if seen.seq > len(entries):
            raise failure or VerificationError(what, f"{len(entries)} events", f"at least {seen.seq}, as were seen before")
        if seen.seq and entries[seen.seq - 1].digest != seen.digest:
            raise VerificationError(what, f"another event {seen.seq}", f"the one seen before, {seen.digest[:12]}")


def is_begun(store: DocumentReader, use_case: str, heads: Path) -> bool:
    """Whether anything was ever recorded: an event is in the lake, or one was seen before and is now cut away."""
    return _head_path(heads, use_case).exists() or bool(store.names(f"{use_case}/releases"))


def begun(store: DocumentStore, heads: Path) -> list[str]:
    """The use cases of which anything was ever recorded, those that are cut away from the lake among them."""
    seen = {path.stem for path in heads.glob("[!.]*.json")}
    return sorted(seen | {name for name in store.folders() if is_begun(store, name, heads)})


def _head_path(heads: Path, use_case: str) -> Path:
    return heads / f"{use_case}.json"


def _head(entries: Sequence[Entry]) -> Head:
    return Head(seq=entries[-1].event.seq, digest=entries[-1].digest) if entries else Head()


def _path(use_case: str, seq: int) -> str:
    return f"{use_case}/releases/{seq:08}.json"
