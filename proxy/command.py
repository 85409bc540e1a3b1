"""`trainserve proxy`: runs one proxy."""

import os
from typing import Annotated

from cyclopts import Parameter

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.interface.program import run
from lake.interface.settings import ServerSettings
from lake.interface.worker import Application, Worker
from lake.log.durability import Durability


def proxy(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    durability: Annotated[Durability, Parameter(env_var="TRAINSERVE_DURABILITY")] = "disk",
    greatest_copy_age_s: Annotated[float, Parameter(env_var="TRAINSERVE_GREATEST_COPY_AGE_S")] = GREATEST_COPY_AGE_S,
    server: ServerSettings = ServerSettings(),  # noqa: B008 - it is frozen
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
    server
        How it listens, and how it ends.

    """
    from lake.bucket import check_before_start
    from lake.parameters import parameters_from_environment
    from lake.program_log import configure_logging

    configure_logging()
    parameters = parameters_from_environment(os.environ)
    home = Home.from_environment()

    def application(worker: Worker) -> Application:
        from proxy.app import create_app

        check_before_start(home.lake)
        return create_app(home, parameters, durability=durability, greatest_copy_age_s=greatest_copy_age_s, worker=worker)

    run(application, host, port, server, "the proxy")
