"""`approvers.yaml`: the trust root outside the lake, as the list of all versions of the policy, each signed by the one before.

Version 1 is trusted because somebody put the file there. A later version counts once a quorum of the approvers that the
version before names have signed it; until then it is pending, and the one before stays in force. The newest version that
was seen is kept in the home, so that a file which lost a version, or tells another story, is noticed.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from lake.documents import StrictDocument, canonical, write_file
from lake.errors import SettingError, VerificationError
from lake.misread import misread
from lake.release.heads import Head, keep_head, read_head
from lake.release.policy import BUILT_IN, PolicyVersion, policy_version
from lake.release.signatures import ApproverKey, opened

POLICY_TYPE = "application/vnd.trainserve.policy+json"
SEEN = ".approvers.json"  # no use case has such a name, so no ledger's head stands there
_HEADER = (
    "# Who may release, with which keys: `trainserve approvers propose` adds a version. Edit none that was signed or used.\n"
)


class Signature(StrictDocument, frozen=True, kw_only=True):
    """A signature over a policy's text, and the id of its key."""

    keyid: str
    sig: str


class Written(StrictDocument, frozen=True, kw_only=True):
    """One version as the file holds it: the policy's text, and the signatures of those the version before named."""

    policy: dict[str, Any]
    signatures: tuple[Signature, ...] = ()


class Policies(msgspec.Struct, frozen=True):
    """The versions that count, the built-in one first; and what still lacks signatures, with the reason."""

    versions: tuple[PolicyVersion, ...] = (BUILT_IN,)
    pending: PolicyVersion | None = None
    lacks: str = ""

    @property
    def newest(self) -> PolicyVersion:
        """The version that was put in force last."""
        return self.versions[-1]


def read_policies(path: Path, heads: Path | None = None) -> Policies:
    """The policies of this file; only the built-in one when it is not there.

    With `heads` given, the newest version is kept in that folder. Raises SettingError for what cannot be read,
    VerificationError when a version does not follow from the one before or from what was seen.
    """
    written = read_written(path)
    policies = _followed(written, path)
    if heads is not None:
        _check_seen(policies, heads / SEEN, path)
    return policies


def read_written(path: Path) -> tuple[Written, ...]:
    """What the file holds, unchecked. Raises SettingError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        return tuple(_plain(one) for one in msgspec.yaml.decode(text, type=tuple[Written, ...]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(str(path), misread(error), "a list of policies and their signatures, see docs/releasing.md") from error


def write_written(path: Path, written: Sequence[Written]) -> None:
    """Replace the file."""
    text = msgspec.yaml.encode([msgspec.to_builtins(one) for one in written])
    write_file(path, _HEADER.encode() + text)


def signed(written: Sequence[Written], key: ApproverKey, path: Path) -> tuple[Written, ...]:
    """The same versions, the last one signed with this key too. Raises SettingError when that signature does not count."""
    if len(written) < 2:  # noqa: PLR2004 - the first version is not signed
        raise SettingError(str(path), f"{len(written)} version", "a second one to sign: `trainserve approvers propose` makes it")
    last = written[-1]
    before = _followed(written[:-1], path).newest.policy
    if key.public.keyid not in before.keys_at(policy_version(last.policy).policy.valid_from_utc):
        raise SettingError("the key", key.public.keyid[:12], f"a key of an approver whom version {before.version} names")
    others = tuple(one for one in last.signatures if one.keyid != key.public.keyid)
    signatures = (*others, msgspec.convert(key.sign(canonical(last.policy), POLICY_TYPE), Signature))
    return (*written[:-1], msgspec.structs.replace(last, signatures=signatures))


def _followed(written: Sequence[Written], path: Path) -> Policies:
    versions = [BUILT_IN]
    for position, one in enumerate(written, start=1):
        version = policy_version(one.policy)
        what = f"version {position} of {path}"
        if version.policy.version != position:
            raise VerificationError(what, f"version {version.policy.version}", f"version {position}")
        if position > 1:
            before = versions[-1]
            if version.policy.previous != before.digest:
                raise VerificationError(what, f"a link to {str(version.policy.previous)[:12]}", f"a link to {before.digest[:12]}")
            if version.policy.valid_from_utc <= before.policy.valid_from_utc:
                found = version.policy.valid_from_utc.isoformat()
                raise VerificationError(what, f"in force from {found}", "a later moment than the version before")
            lacks = _lacks(one, version, before)
            if lacks and position == len(written):
                return Policies(tuple(versions), pending=version, lacks=lacks)
            if lacks:
                raise VerificationError(what, lacks, f"{before.policy.quorum} signatures")
        versions.append(version)
    return Policies(tuple(versions))


def _lacks(one: Written, version: PolicyVersion, before: PolicyVersion) -> str:
    """What the signatures under a version lack to the quorum of the one before; empty when they do."""
    keys = before.policy.keys_at(version.policy.valid_from_utc)
    names: set[str] = set()
    if one.signatures:
        payload = canonical(one.policy)
        envelope = _envelope(payload, one.signatures)
        try:
            _, keyids = opened(envelope, POLICY_TYPE, {keyid: key for keyid, (_, key) in keys.items()}, "its signatures")
        except VerificationError:
            keyids = frozenset()
        names = {keys[keyid][0].name for keyid in keyids}
    if len(names) >= before.policy.quorum:
        return ""
    return f"{len(names)} of {before.policy.quorum} signatures of approvers whom version {before.policy.version} names"


def _envelope(payload: bytes, signatures: Sequence[Signature]) -> dict[str, Any]:
    listed = [msgspec.to_builtins(one) for one in signatures]
    return {"payload": base64.b64encode(payload).decode(), "payloadType": POLICY_TYPE, "signatures": listed}


def _plain(one: Written) -> Written:
    """The policy as JSON would write it: YAML reads an unquoted moment as a moment, and a digest is over its text."""
    return msgspec.structs.replace(one, policy=msgspec.to_builtins(one.policy))


def _check_seen(policies: Policies, kept: Path, path: Path) -> None:
    """Raises VerificationError when the file misses or changes a version that was in force here before."""
    seen = read_head(kept)
    newest = policies.newest
    if seen.seq > newest.policy.version:
        found = f"{newest.policy.version} versions that hold"
        raise VerificationError(str(path), found, f"at least {seen.seq}, as were seen before (the newest is kept in {kept})")
    if seen.seq and policies.versions[seen.seq].digest != seen.digest:
        raise VerificationError(str(path), f"another version {seen.seq}", f"the one seen before, {seen.digest[:12]} ({kept})")
    if newest.policy.version > seen.seq:
        keep_head(kept, Head(seq=newest.policy.version, digest=newest.digest))
