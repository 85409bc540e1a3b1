"""A predictor that answers at once: what remains of a request is the proxy's own work.

`python -m bench.upstream PORT PACKAGE_DIGEST [ARM]`; it answers one row, always with the same score, as the champion or
another arm of that role's name.
"""

import sys
from typing import Any

import msgspec

from bench.released import USE_CASE
from lake.interface.bundle import BUNDLE_PATH, ModelResponse, encode_bundle, read_requests
from lake.interface.messages import REQUEST_ID_HEADER, PredictedRow, PredictResponse, Provenance
from lake.interface.server import serve
from lake.listener import bind

_REQUEST_ID = "request-id-of-this-request"


class Upstream:
    """The application, as ASGI."""

    def __init__(self, package_digest: str, arm: str = "champion") -> None:
        provenance = Provenance(
            request_id=_REQUEST_ID,
            arm=arm,
            role=arm,
            release_seq=1,
            package_digest=package_digest,
            engine="catboost",
        )
        response = PredictResponse(
            model_name=USE_CASE,
            model_version=f"{USE_CASE} 1.0.0",
            predictions=[PredictedRow(score=0.25)],
            provenance=provenance,
        )
        self._around_id = msgspec.json.encode(response).split(_REQUEST_ID.encode())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a request; take part in start and stop."""
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        if scope["path"] == BUNDLE_PATH:
            answer = encode_bundle([ModelResponse(200, self._answer(one.request_id.encode())) for one in read_requests(body)])
        else:
            answer = self._answer(dict(scope["headers"]).get(REQUEST_ID_HEADER.encode(), b""))
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, request_id: bytes) -> bytes:
        return request_id.join(self._around_id)


if __name__ == "__main__":
    application: Any = Upstream(*sys.argv[2:])
    serve(application, bind("127.0.0.1", int(sys.argv[1]), "the upstream"))
