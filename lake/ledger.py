"""The ledger of releases: a hash chain of signed events, one file each, `releases/<seq>.json`.

An event is a DSSE envelope signed by the platform's key. It links to the bytes of the event before it, and carries
the decision: an in-toto statement in an envelope of its own. Files are written with put-if-absent, so that of two
writers exactly one wins. Whoever can write to the lake but holds no key can release nothing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from lake.documents import Document, DocumentStore, canonical, decoded, sha256, write_file
from lake.errors import VerificationError
from lake.signatures import PlatformKey, Trust

EVENT_TYPE = "application/vnd.trainserve.release-event+json"
DECISION_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://trainserve.dev/release-decision/v1"
GENESIS = "0" * 64

DecisionKind = Literal["approve", "reject", "revoke", "roll back"]
Role = Literal["champion", "challenger", "shadow"]


class Waiver(Document, frozen=True, kw_only=True):
    """A blocking gate that this release may fail: which, why, until when."""

    gate: str
    reason: str
    expires_at_utc: str


class Decision(Document, frozen=True, kw_only=True):
    """What is decided about one package. Digests are SHA-256 in hex, times RFC 3339 in UTC.

    `identity` says how the approver is known: "claimed" by the run's config, or "signed" by their own key.
    """

    use_case: str
    decision: DecisionKind
    role: Role
    arm: str
    package_digest: str
    evaluation_id: str
    release_standard_digest: str
    policy_digest: str
    approver: str
    reason: str
    nonce: str
    model_version: str = ""
    identity: Literal["claimed", "signed"] = "claimed"
    greatest_share: float = 1.0
    waivers: tuple[Waiver, ...] = ()
    expires_at_utc: str | None = None
    sign_by_utc: str | None = None


class Event(Document, frozen=True, kw_only=True):
    """One entry of the ledger. `previous` is the digest of the entry before it; `decision` is its envelope."""

    seq: int
    previous: str
    at_utc: str
    launcher: str
    decision: dict[str, Any]
    format_version: int = 1


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A verified event, with its decision opened and the digest of its bytes."""

    event: Event
    decision: Decision
    digest: str


class Head(Document, frozen=True, kw_only=True):
    """How far the ledger has been seen: the newest entry's number and digest."""

    seq: int = 0
    digest: str = GENESIS


class Ledger:
    """A verified, growing view of one use case's ledger.

    `poll` reads what was appended since; each entry is checked once: signature, link, decision. With `heads` given,
    the highest head is kept in that folder, outside the lake, so that a ledger whose tail was cut is noticed, also
    after a restart.
    """

    def __init__(self, store: DocumentStore, use_case: str, trust: Trust, heads: Path | None = None) -> None:
        self._store = store
        self._use_case = use_case
        self._trust = trust
        self._heads = None if heads is None else _head_path(heads, use_case)
        self.entries: list[Entry] = []

    @property
    def head(self) -> Head:
        """The newest verified entry."""
        return _head(self.entries)

    def poll(self) -> bool:
        """Read and verify what is new; returns whether anything was.

        Raises VerificationError at the first entry that does not hold, and keeps those before it, so that no bad entry
        hides a revocation. A ledger that is shorter or other than the one seen before adds nothing at all.
        """
        seen = self._seen_head()  # first: another reader of this home may be ahead by the time the entries are read
        entries = list(self.entries)
        failure: VerificationError | None = None
        try:
            while (data := self._store.find(_path(self._use_case, len(entries) + 1))) is not None:
                entries.append(self._verified(data, entries))
        except VerificationError as error:
            failure = error
        self._check_seen_head(seen, entries, failure)
        grown = len(entries) > len(self.entries)
        self.entries = entries
        if self._heads is not None and seen.seq < len(entries):
            write_file(self._heads, canonical(self.head))  # last: what is new counts also when this disk is full
        if failure is not None:
            raise failure
        return grown

    def append(self, decision: Decision, launcher: str, at_utc: str, key: PlatformKey) -> Entry:
        """Sign and write the next event. Raises Conflict when another writer took its number."""
        head = self.head
        event = Event(
            seq=head.seq + 1,
            previous=head.digest,
            at_utc=at_utc,
            launcher=launcher,
            decision=key.seal(canonical(_statement(decision)), DECISION_TYPE),
        )
        self._store.put_new(_path(self._use_case, event.seq), canonical(key.seal(canonical(event), EVENT_TYPE)))
        self.poll()
        return self.entries[event.seq - 1]

    def _verified(self, data: bytes, before: Sequence[Entry]) -> Entry:
        head = _head(before)
        expected = head.seq + 1
        what = f"event {expected} of the ledger of {self._use_case!r}"
        try:
            event = msgspec.json.decode(self._trust.open(msgspec.json.decode(data), EVENT_TYPE, what), type=Event)
            statement = msgspec.json.decode(self._trust.open(event.decision, DECISION_TYPE, f"the decision of {what}"))
            decision = msgspec.convert(statement["predicate"], Decision)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
            raise VerificationError(what, f"unreadable ({error})", "a signed event") from error
        if event.seq != expected:
            raise VerificationError(what, f"event {event.seq}", f"event {expected}")
        if event.previous != head.digest:
            raise VerificationError(what, f"a link to {event.previous[:12]}", f"a link to {head.digest[:12]}")
        if {**statement, "predicate": None} != {**_statement(decision), "predicate": None}:
            raise VerificationError(what, "subjects or types that its predicate does not name", "a statement about its decision")
        if decision.use_case != self._use_case:
            raise VerificationError(what, f"a decision for {decision.use_case!r}", f"one for {self._use_case!r}")
        if any(decision.nonce == entry.decision.nonce for entry in before):
            raise VerificationError(what, "a nonce that was used before", "a decision that was not recorded yet")
        return Entry(event=event, decision=decision, digest=sha256(data))

    def _seen_head(self) -> Head:
        if self._heads is None or not self._heads.exists():
            return Head()
        return decoded(self._heads.read_bytes(), f"the seen head of the ledger of {self._use_case!r}", Head)

    def _check_seen_head(self, seen: Head, entries: Sequence[Entry], failure: VerificationError | None) -> None:
        """Raises VerificationError unless these entries go on from the head seen before; `failure` is why there are no more."""
        what = f"the ledger of {self._use_case!r}"
        if seen.seq > len(entries):
            raise failure or VerificationError(what, f"{len(entries)} events", f"at least {seen.seq}, as were seen before")
        if seen.seq and entries[seen.seq - 1].digest != seen.digest:
            raise VerificationError(what, f"another event {seen.seq}", f"the one seen before, {seen.digest[:12]}")


def is_begun(store: DocumentStore, use_case: str, heads: Path) -> bool:
    """Whether anything was ever recorded: an event is in the lake, or one was seen before and is now cut away."""
    return _head_path(heads, use_case).exists() or bool(store.names(f"{use_case}/releases"))


def _head_path(heads: Path, use_case: str) -> Path:
    return heads / f"{use_case}.json"


def _head(entries: Sequence[Entry]) -> Head:
    return Head(seq=entries[-1].event.seq, digest=entries[-1].digest) if entries else Head()


def _statement(decision: Decision) -> dict[str, Any]:
    subjects = {
        "package": decision.package_digest,
        "evaluation": decision.evaluation_id,
        "release-standard": decision.release_standard_digest,
        "policy": decision.policy_digest,
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in subjects.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": msgspec.to_builtins(decision),
    }


def _path(use_case: str, seq: int) -> str:
    return f"{use_case}/releases/{seq:08}.json"
