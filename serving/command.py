"""`trainserve predictor`: runs one predictor."""

from typing import Annotated

from cyclopts import Parameter

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home


def predictor(
    use_case: str,
    *,
    arm: str = "champion",
    host: str = "127.0.0.1",
    port: int = 8101,
    greatest_copy_age_s: Annotated[float, Parameter(env_var="TRAINSERVE_GREATEST_COPY_AGE_S")] = GREATEST_COPY_AGE_S,
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

    """
    from lake.interface.server import serve
    from lake.listener import bind
    from lake.program_log import configure_logging
    from serving.app import create_app

    configure_logging()
    listener = bind(host, port, f"the predictor of {use_case}/{arm}")
    serve(create_app(Home.from_environment(), use_case, arm, greatest_copy_age_s=greatest_copy_age_s), listener)
