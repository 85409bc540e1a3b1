"""What a reader of the ledger trusts: the platform's keys and the policies, both outside the lake, followed as they change."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import SSlibKey

from lake.errors import SettingError, VerificationError
from lake.home import Home
from lake.release.approvers import Policies, read_policies
from lake.release.decision import DECISION_TYPE, Decision, read_statement
from lake.release.policy import PolicyVersion
from lake.release.signatures import TRUSTED, PlatformKey, opened, read_trusted
from lake.times import rfc3339, utc

EVENT_TYPE = "application/vnd.trainserve.release-event+json"


class Trust:
    """The platform's public keys by id, and the policies that say whose signature a decision needs."""

    def __init__(self, platform: Mapping[str, SSlibKey], policies: Policies = Policies()) -> None:  # noqa: B008 - immutable
        self.policies = policies
        self._platform = dict(platform)
        self._home: Home | None = None
        self._stamp: object = None

    @classmethod
    def read(cls, home: Home) -> "Trust":
        """What this home trusts, now and as it changes. Raises SettingError, VerificationError."""
        trust = cls({})
        trust._home = home
        trust.refresh()
        return trust

    @classmethod
    def in_key(cls, key: PlatformKey) -> "Trust":
        """Trust in this key alone, under the built-in policy."""
        return cls({key.public.keyid: key.public})

    def refresh(self) -> None:
        """Read keys and policies again where their files have changed. Raises SettingError, VerificationError."""
        if self._home is None:
            return
        stamp = (_stamp(self._home.approvers), _stamp(self._home.keys / TRUSTED))
        if stamp != self._stamp:
            self.policies = read_policies(self._home.approvers, self._home.heads)
            self._platform = read_trusted(self._home.keys)
            self._stamp = stamp

    def policy_at(self, moment: datetime) -> PolicyVersion:
        """The policy that was in force at this moment: the built-in one before all others."""
        first, *later = self.policies.versions
        return [first, *(version for version in later if version.policy.valid_from_utc <= moment)][-1]

    def open_event(self, envelope: Any, what: str) -> tuple[bytes, frozenset[str]]:
        """An event's bytes, and which of all platform keys signed them; `check_platform` judges the keys at its time."""
        listed = {key.opened.keyid: key.opened for one in self.policies.versions for key in one.policy.platform}
        if not listed and not self._platform:
            raise SettingError(
                f"the folder of trusted keys {self._home.keys / TRUSTED if self._home else ''}",
                "empty",
                "the platform's public key: it is made by the first release, or copy it from the training machine",
            )
        return opened(envelope, EVENT_TYPE, {**self._platform, **listed}, what)

    def check_platform(self, keyids: frozenset[str], moment: datetime, what: str) -> None:
        """Raises VerificationError unless one of these keys could sign for the platform at this moment."""
        policy = self.policy_at(moment).policy
        valid = {key.opened.keyid for key in policy.platform if key.valid_at(moment)} if policy.platform else set(self._platform)
        if valid.isdisjoint(keyids):
            expected = f"a platform key of policy version {policy.version} that was valid at {rfc3339(moment)}"
            raise VerificationError(what, "the signature of another key", expected)

    def open_decision(self, envelope: Any, moment: datetime, what: str) -> tuple[Decision, frozenset[str]]:
        """A decision that could be recorded at this moment, and the names of the approvers who signed it.

        Raises VerificationError when the policy in force then does not allow it.
        """
        version = self.policy_at(moment)
        keys = version.policy.keys_at(moment)
        listed = {key.opened.keyid: key.opened for key in version.policy.platform}
        trusted = {**self._platform, **listed, **{keyid: key for keyid, (_, key) in keys.items()}}
        payload, keyids = opened(envelope, DECISION_TYPE, trusted, what)
        decision = read_statement(payload, what)
        signers = frozenset(keys[keyid][0].name for keyid in keyids if keyid in keys)
        if decision.policy_digest != version.digest:
            found = f"policy {decision.policy_digest[:12]}"
            raise VerificationError(what, found, f"{version.digest[:12]}, version {version.policy.version}, in force then")
        if signers and decision.sign_by_utc is None:
            raise VerificationError(what, "signatures that count for ever", "a decision that says sign_by_utc")
        if decision.sign_by_utc is not None and utc(decision.sign_by_utc) < moment:
            raise VerificationError(what, f"a record of {rfc3339(moment)}", f"one before its sign_by_utc, {decision.sign_by_utc}")
        problems = list(version.policy.problems(decision, signers))
        if problems:
            raise VerificationError(what, "; ".join(problems), f"what policy version {version.policy.version} asks for")
        return decision, signers


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is replaced, or a folder gets another entry."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
