"""API keys, as hashes with roles, in one `credentials.yaml`. Without that file no key is asked for.

A key is 256 random bits, so a plain SHA-256 of it cannot be guessed back.
"""

import hmac
import secrets
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from lake.documents import StrictDocument, sha256, write_file
from lake.errors import NotFound, SettingError
from lake.file_lock import locked
from lake.misread import misread

CredentialRole = Literal["client", "labeller", "operator", "monitor"]


class Credential(StrictDocument, frozen=True, kw_only=True):
    """Who a key belongs to and what it may do."""

    id: str
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    roles: tuple[CredentialRole, ...]


class CredentialFile(StrictDocument, frozen=True, kw_only=True):
    """The file as a whole."""

    credentials: tuple[Credential, ...] = ()
    format_version: int = 1


class Credentials:
    """The known keys. `open_to_all` when there is no file."""

    def __init__(self, known: tuple[Credential, ...] | None) -> None:
        self.open_to_all = known is None
        self._known = known or ()

    @classmethod
    def read(cls, path: Path) -> "Credentials":
        """The file's keys; open to all when it is absent. Raises SettingError when it cannot be read."""
        if not path.exists():
            return cls(None)
        return cls(_decode(path).credentials)

    def find(self, key: str) -> Credential | None:
        """Who this key belongs to, or None. Takes the same time for every key."""
        digest = sha256(key.encode())
        found = None
        for credential in self._known:
            if hmac.compare_digest(credential.sha256, digest):
                found = credential
        return found


def add_credential(path: Path, name: str, roles: tuple[CredentialRole, ...]) -> str:
    """Make a key, keep its hash in the file, and return the key: it is shown only this once."""
    with locked(path):
        known = read_credentials(path) or ()
        if any(credential.id == name for credential in known):
            raise SettingError("credential id", name, "one that the file does not have yet")
        key = secrets.token_urlsafe(32)
        _write(path, (*known, Credential(id=name, sha256=sha256(key.encode()), roles=roles)))
    return key


def read_credentials(path: Path) -> tuple[Credential, ...] | None:
    """Whose keys the file has; None where there is none. Raises SettingError when it cannot be read."""
    return _decode(path).credentials if path.exists() else None


def remove_credential(path: Path, name: str) -> int:
    """Take a key back; returns how many are left. With none left nobody is let in. Raises NotFound for a name without one."""
    with locked(path):
        known = read_credentials(path) or ()
        left = tuple(credential for credential in known if credential.id != name)
        if len(left) == len(known):
            raise NotFound("key of", name, f"{path} has those of {[credential.id for credential in known]}.")
        _write(path, left)
    return len(left)


def _write(path: Path, credentials: tuple[Credential, ...]) -> None:
    write_file(path, msgspec.yaml.encode(CredentialFile(credentials=credentials)), mode=0o600)


def _decode(path: Path) -> CredentialFile:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=CredentialFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(str(path), misread(error), "credentials with id, sha256 and roles") from error
