"""What tests of operators share: changes as they are sent, and what a proxy goes by."""

from typing import Any

import httpx
import msgspec

from lake.parameters.document import Content, Parameters, change_of, content_of
from tests.scenario import USE_CASE
from tests.served import Client

PARAMETERS = f"/parameters/{USE_CASE}"


def in_force(client: Client, **headers: str) -> Parameters:
    """The parameters that a proxy goes by."""
    answer = client.get(PARAMETERS, headers=headers)
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    return msgspec.convert(answer.json(), Parameters)


def put(
    client: Client, document: Content, if_match: str | None = '"0"', why: str = "incident 7", key: str | None = None, **more: Any
) -> httpx.Response:
    """Hand in what a document decides."""
    headers = {} if if_match is None else {"if-match": if_match}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    body = msgspec.json.encode(change_of(content_of(document), why, **more))
    return client.put(PARAMETERS, content=body, headers=headers)
