"""Who may do what: API keys from `credentials.yaml`, asked for only when there is such a file."""

from http import HTTPStatus
from typing import Any

from litestar import Request

from lake.credentials import CredentialRole, Credentials
from lake.interface.problems import Refused


class Access:
    """Checks the key of a request."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def client_id(self, request: Request[Any, Any, Any], role: CredentialRole) -> str | None:
        """Whose key the request carries; None while no key is asked for. Raises Refused: 401, or 403 for another role."""
        if self._credentials.open_to_all:
            return None
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        credential = self._credentials.find(key) if scheme.lower() == "bearer" else None
        if credential is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "An API key is needed: send it as 'Authorization: Bearer <key>'.")
        if role not in credential.roles:
            raise Refused(
                HTTPStatus.FORBIDDEN, f"The key of {credential.id!r} has no role {role!r}; it has {list(credential.roles)}."
            )
        return credential.id
