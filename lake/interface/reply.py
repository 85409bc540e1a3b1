"""What answers a request for predictions, as bytes."""

from collections.abc import Mapping

import msgspec
from litestar import Response

JSON = "application/json"


class Reply(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a media type, with a status and further headers."""

    content: bytes
    headers: Mapping[str, str] = {}
    media_type: str = JSON
    status: int = 200

    def response(self) -> Response[bytes]:
        """The same as the framework has it."""
        return Response(self.content, status_code=self.status, media_type=self.media_type, headers=self.headers)
