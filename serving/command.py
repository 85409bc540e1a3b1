"""`trainserve predictor`: runs one predictor."""

from typing import Annotated

from cyclopts import Parameter

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.limits import DEFAULT_LIMITS, Limits


def predictor(
    use_case: str,
    *,
    arm: str = "champion",
    host: str = "127.0.0.1",
    port: int = 8101,
    greatest_copy_age_s: Annotated[float, Parameter(env_var="TRAINSERVE_GREATEST_COPY_AGE_S")] = GREATEST_COPY_AGE_S,
    maximum_rows: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_ROWS")] = DEFAULT_LIMITS.rows,
    maximum_bytes: Annotated[int, Parameter(env_var="TRAINSERVE_MAXIMUM_BYTES")] = DEFAULT_LIMITS.bytes,
) -> None:
    """Serve what is released on one arm of a use case.

    Parameters
    ----------
    use_case
        The use case, as flight_delay.
    arm
        The arm whose releases are served.
    host
        The address to listen on.
    port
        The port to listen on.
    greatest_copy_age_s
        For how many seconds after the lake was last reached its local copy is served from.
    maximum_rows
        The most rows of one request; one with more is refused.
    maximum_bytes
        The most bytes of one request; one with more is refused unread.

    """
    from lake.interface.server import serve
    from lake.listener import bind
    from lake.program_log import configure_logging
    from serving.app import create_app

    configure_logging()
    limits = Limits(rows=maximum_rows, bytes=maximum_bytes)
    listener = bind(host, port, f"the predictor of {use_case}/{arm}")
    serve(create_app(Home.from_environment(), use_case, arm, greatest_copy_age_s=greatest_copy_age_s, limits=limits), listener)
