"""The reference: a bare Litestar application that decodes the same body with msgspec and sends it back."""

import sys
from typing import Any

import msgspec
from litestar import Litestar, get, post

from lake.interface.server import serve
from lake.listener import bind


class Body(msgspec.Struct):
    """The body of the JSON interface, with rows of any fields."""

    records: list[dict[str, Any]]
    id: str | None = None


@post("/echo", status_code=200)
async def echo(data: Body) -> Body:
    """The same again."""
    return data


@get("/ready")
async def ready() -> None:
    """That it answers."""


if __name__ == "__main__":
    serve(Litestar([echo, ready], openapi_config=None, logging_config=None), bind("127.0.0.1", int(sys.argv[1]), "the echo"))
