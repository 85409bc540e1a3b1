"""A lake with a release ledger, the machine that writes it, servers that read it, and somebody who damages files of it."""

import base64
import shutil
import tempfile
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec
from securesystemslib.signer import CryptoSigner

from lake.documents import DocumentStore, canonical, sha256
from lake.errors import TrainServeError
from lake.home import Home
from lake.release.decision import DECISION_TYPE, Decision, statement_bytes
from lake.release.ledger import Event, Ledger
from lake.release.signatures import TRUSTED, PlatformKey
from lake.release.trust import EVENT_TYPE, Trust
from lake.times import rfc3339
from tests.approvers import Person, sign
from tests.scenario import USE_CASE

Damage = Literal["bit", "noted", "removed", "cut", "swapped", "garbage", "repeated", "foreign", "unsigned"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)
# Whoever saw nothing later takes a ledger that lacks its end for one that has not grown yet.
SILENT: tuple[Damage, ...] = ("removed", "cut")
FOREIGN = PlatformKey(CryptoSigner.generate_ed25519())


class Reader:
    """A ledger's reader on one machine: `seen` is the highest number that any reader of that machine has verified."""

    def __init__(self, world: "World", home: Home, *, keeps_heads: bool = True) -> None:
        self._world = world
        self._heads = home.heads if keeps_heads else None
        self.home = home
        self.seen = 0
        self.ledger = self.start()

    def start(self) -> Ledger:
        """A process that starts and has read nothing."""
        store = DocumentStore(self.home.lake, make=False)
        return Ledger(store, USE_CASE, Trust.read(self.home), self._heads, lambda: self._world.now)

    def poll(self) -> TrainServeError | None:
        """Read on; returns what did not hold."""
        try:
            self.ledger.poll()
        except TrainServeError as error:
            return error
        finally:
            self.seen = max(self.seen, len(self.ledger.entries))
        return None

    def restart(self) -> TrainServeError | None:
        """Start anew and read; returns what did not hold. What does not start leaves the former process where it was."""
        try:
            self.ledger = self.start()
        except TrainServeError as error:
            return error
        return self.poll()


class World:
    """One machine that records and two that serve, around one lake; and one clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._folder = Path(tempfile.mkdtemp(prefix="release-world-"))
        self.home = Home.at(self._folder / "training")
        self.key = PlatformKey.read_or_make(self.home.keys)
        DocumentStore(self.home.lake)
        self.damaged: dict[Path, bytes | None] = {}

    def servers(self) -> list[Home]:
        """Machines with heads of their own, that trust the same keys and approvers."""
        homes = [Home.at(self._folder / name, self.home.lake, self.home.approvers) for name in ("predictor", "proxy")]
        for home in homes:
            shutil.copytree(self.home.keys / TRUSTED, home.keys / TRUSTED)
        return homes

    def remove(self) -> None:
        """Leave nothing on disk."""
        shutil.rmtree(self._folder)

    def file(self, seq: int) -> Path:
        """Where the event of this number stands."""
        return Path(self.home.lake) / USE_CASE / "releases" / f"{seq:08}.json"

    def files(self) -> dict[str, bytes]:
        """The ledger's files by name."""
        return {path.name: path.read_bytes() for path in sorted(self.file(1).parent.glob("*"))}

    def append(self, ledger: Ledger, decided: Decision, signers: Collection[Person], at: datetime) -> str:
        """Record as the training machine does; returns the event's digest."""
        envelope = sign(decided, *signers) if signers else None
        return ledger.append(decided, "cleo", rfc3339(at), self.key, envelope).digest

    def damage(self, kind: Damage, seq: int, last: int, decided: Decision) -> int:
        """Do harm at an event of a ledger with so many; returns the first number that is not as it was written.

        What is added stands behind the last: `decided`, as somebody with another platform key would record it, or
        somebody who holds the platform's own and no approver's.
        """
        added = last + 1
        match kind:
            case "bit":
                data = bytearray(self.file(seq).read_bytes())
                data[len(data) * seq // (last + 1)] ^= 1 << seq % 8
                self._put(seq, bytes(data))
                return seq
            case "noted":
                self._put(seq, canonical({**msgspec.json.decode(self.file(seq).read_bytes()), "note": "what nobody reads"}))
                return seq
            case "removed" | "cut":
                for gone in range(seq, (seq if kind == "removed" else last) + 1):
                    self._put(gone, None)
                return seq
            case "swapped":
                other = seq - 1 if seq == last else seq + 1
                one, two = (self.file(number).read_bytes() for number in (seq, other))
                self._put(seq, two)
                self._put(other, one)
                return min(seq, other)
            case "garbage":
                self._put(added, b"garbage")
            case "repeated":
                self._put(added, self.file(last).read_bytes())
            case "foreign" | "unsigned":
                key = FOREIGN if kind == "foreign" else self.key
                self._put(added, self._forged(added, decided, key))
        return added

    def repair(self) -> None:
        """Put every file back as it was."""
        for path, data in self.damaged.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(data)
        self.damaged = {}

    def damage_policy(self, *, cut: bool) -> None:
        """Take the newest version out of approvers.yaml, or make the first one ask for nothing."""
        path = self.home.approvers
        self.damaged[path] = path.read_bytes()
        versions = msgspec.yaml.decode(path.read_bytes())
        if cut:
            versions.pop()
        else:
            versions[0]["policy"] |= {"roles": {}, "expired": "refuse"}
        path.unlink()
        path.write_bytes(msgspec.yaml.encode(versions))

    def _put(self, seq: int, data: bytes | None) -> None:
        path = self.file(seq)
        self.damaged[path] = path.read_bytes() if path.exists() else None
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)

    def _forged(self, seq: int, decided: Decision, key: PlatformKey) -> bytes:
        previous = sha256(self.file(seq - 1).read_bytes())
        decision = key.seal(statement_bytes(decided), DECISION_TYPE)
        event = Event(seq=seq, previous=previous, at_utc=rfc3339(self.now), launcher="mallory", decision=decision)
        return canonical(key.seal(canonical(event), EVENT_TYPE))


def link(data: bytes) -> tuple[int, str]:
    """An event's number and the digest that it says the one before has, read without checking anything."""
    event = msgspec.json.decode(base64.b64decode(msgspec.json.decode(data)["payload"]))
    return event["seq"], event["previous"]
