"""Who may do what: API keys from `credentials.yaml`, asked for only when there is such a file, read again when it changes."""

import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import structlog

from lake.credentials import CredentialRole, Credentials
from lake.errors import SettingError
from lake.interface.problems import Refused

LOOK_INTERVAL_S = 0.5

log = structlog.get_logger(__name__)


class NoRole(Refused):
    """A known key that has not the role that is needed."""

    def __init__(self, client_id: str, roles: Sequence[CredentialRole], needed: CredentialRole) -> None:
        self.client_id = client_id
        super().__init__(HTTPStatus.FORBIDDEN, f"The key of {client_id!r} has no role {needed!r}; it has {list(roles)}.")


class Access:
    """Checks the key of a request against the file as it stands.

    Once keys were asked for, a file that is gone or unreadable leaves the keys that were known: nothing opens by accident.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._looked_at = time.monotonic()
        self._credentials = Credentials.read(path)

    def client_id(self, headers: Mapping[str, str], role: CredentialRole) -> str | None:
        """Whose key the headers carry; None while no key is asked for. Raises Refused: 401, or 403 for another role."""
        if time.monotonic() - self._looked_at > LOOK_INTERVAL_S:
            self._read_again()
        if self._credentials.open_to_all:
            return None
        scheme, _, key = headers.get("authorization", "").partition(" ")
        credential = self._credentials.find(key) if scheme.lower() == "bearer" else None
        if credential is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "An API key is needed: send it as 'Authorization: Bearer <key>'.")
        if role not in credential.roles:
            raise NoRole(credential.id, credential.roles, role)
        return credential.id

    def _read_again(self) -> None:
        self._looked_at = time.monotonic()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            log.warning("credentials are gone, going on with those that were known", file=str(self._path))
            return
        try:
            self._credentials = Credentials.read(self._path)
            log.info("credentials read again", file=str(self._path))
        except (SettingError, OSError) as error:
            log.warning("credentials not usable, going on with those that were known", why=str(error))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
