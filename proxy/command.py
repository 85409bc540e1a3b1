"""`trainserve proxy`: runs one proxy."""

import os
from typing import Annotated

from cyclopts import Parameter

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.limits import DEFAULT_LIMITS, Limits
from lake.log.slot import Durability


def proxy(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    durability: Annotated[Durability, Parameter(env_var="TRAINSERVE_DURABILITY")] = "disk",
    greatest_copy_age_s: Annotated[float, Parameter(env_var="TRAINSERVE_GREATEST_COPY_AGE_S")] = GREATEST_COPY_AGE_S,
    maximum_rows: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_ROWS")] = DEFAULT_LIMITS.rows,
    maximum_bytes: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_BYTES")] = DEFAULT_LIMITS.bytes,
) -> None:
    """Route requests to the predictors that PROXY_UPSTREAMS names, and log every answer.

    Parameters
    ----------
    host
        The address to listen on.
    port
        The port to listen on.
    durability
        What an answer waits for: that the disk has its record (disk), so that a power cut loses nothing; or that the record
        is written (process), so that a killed process loses nothing and a power cut the last second.
    greatest_copy_age_s
        For how many seconds after the lake was last reached what was read of it is gone by.
    maximum_rows
        The most rows of one request; one with more is refused.
    maximum_bytes
        The most bytes of one request; one with more is refused unread.

    """
    from lake.bucket import check_before_start
    from lake.interface.server import serve
    from lake.listener import bind
    from lake.parameters import parameters_from_environment
    from lake.program_log import configure_logging
    from proxy.app import create_app

    configure_logging()
    limits = Limits(rows=maximum_rows, bytes=maximum_bytes)
    parameters = parameters_from_environment(os.environ)
    home = Home.from_environment()
    check_before_start(home.lake)
    listener = bind(host, port, "the proxy")
    app = create_app(home, parameters, durability=durability, greatest_copy_age_s=greatest_copy_age_s, limits=limits)
    serve(app, listener)
