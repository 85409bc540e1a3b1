"""People who approve: ada, bob and eve, each with a key; the approvers.yaml that names them; decisions that they sign."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from lake.documents import write_new_file
from lake.home import Home
from lake.release.approvers import Written, read_policies, read_written, signed, write_written
from lake.release.decision import DECISION_TYPE, Decision, statement_bytes
from lake.release.policy import Approver, Key, Policy, PolicyVersion, policy_version
from lake.release.signatures import ApproverKey, merged, public_text
from lake.times import now_utc, rfc3339

PASSPHRASE = "correct horse battery staple"  # noqa: S105 - its keys live as long as a test
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Person:
    """Somebody with a private key, under one name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._signer = CryptoSigner.generate_ed25519()
        self.key = ApproverKey(self._signer)

    def listed(self, since: datetime = LONG_AGO, until: datetime | None = None, **facts: Any) -> Approver:
        """The person as a policy names them; their key counts from one moment until another."""
        key = Key(public_key=public_text(self.key.public), valid_from_utc=since, valid_until_utc=until)
        return Approver(**{"name": self.name, "keys": (key,), **facts})

    def key_file(self, folder: Path) -> Path:
        """The private key in a file of this folder, under `PASSPHRASE`; written once."""
        path = folder / f"{self.name}.key"
        if not path.exists():
            private = load_pem_private_key(self._signer.private_bytes, password=None)
            sealing = BestAvailableEncryption(PASSPHRASE.encode())
            write_new_file(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealing), mode=0o600)
        return path


ADA, BOB, EVE = Person("ada"), Person("bob"), Person("eve")


def policy(*people: Person | Approver, **facts: Any) -> Policy:
    """Version 1 of a policy that names these people, in force since long ago, unless changed."""
    approvers = tuple(person.listed() if isinstance(person, Person) else person for person in people)
    return Policy(**{"version": 1, "valid_from_utc": LONG_AGO, "approvers": approvers, **facts})


def after(before: PolicyVersion, valid_from_utc: datetime | None = None, **changes: Any) -> Policy:
    """The next version: the same but for the changes, linked to the one before; by default in force a day after it."""
    former = before.policy
    moment = valid_from_utc or former.valid_from_utc + timedelta(days=1)
    facts = {"version": former.version + 1, "previous": before.digest, "valid_from_utc": moment, **changes}
    return msgspec.structs.replace(former, **facts)


def put_policy(home: Home, added: Policy, signers: Sequence[Person] = ()) -> PolicyVersion:
    """Add a version to the home's approvers.yaml, signed by these people; returns it with its digest."""
    text = msgspec.to_builtins(added)
    version = policy_version(text)
    write_written(home.approvers, [*read_written(home.approvers), Written(policy=text)])
    for person in signers:
        write_written(home.approvers, signed(read_written(home.approvers), person.key, home.approvers))
    return version


def newest_policy(home: Home) -> PolicyVersion:
    """The version of the home's approvers.yaml that was put in force last."""
    return read_policies(home.approvers).newest


def to_sign(decision: Decision, version: PolicyVersion, within: timedelta = timedelta(hours=1)) -> Decision:
    """The decision as it is signed under this policy: it names the policy, and until when the signature counts."""
    return msgspec.structs.replace(decision, policy_digest=version.digest, sign_by_utc=rfc3339(now_utc() + within))


def sign(decision: Decision, *people: Person) -> dict[str, Any]:
    """The decision in an envelope that each of these people signed."""
    return merged([person.key.seal(statement_bytes(decision), DECISION_TYPE) for person in people])
