"""`trainserve predictor`: runs one predictor."""

from typing import Annotated

from cyclopts import Parameter

from lake.copies import GREATEST_COPY_AGE_S
from lake.home import Home
from lake.interface.program import run
from lake.interface.settings import ServerSettings
from lake.interface.worker import Application, Worker
from lake.log.durability import Durability


def predictor(  # noqa: PLR0913 - each is an option
    use_case: str,
    *,
    arm: str = "champion",
    host: str = "127.0.0.1",
    port: int = 8101,
    stand_alone: bool = False,
    durability: Annotated[Durability, Parameter(env_var="TRAINSERVE_DURABILITY")] = "disk",
    ask_keys: bool = False,
    greatest_copy_age_s: Annotated[float, Parameter(env_var="TRAINSERVE_GREATEST_COPY_AGE_S")] = GREATEST_COPY_AGE_S,
    server: ServerSettings = ServerSettings(),  # noqa: B008 - it is frozen
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
    stand_alone
        Keep the prediction log here: there is no proxy that does.
    durability
        Standing alone: what an answer waits for, as the proxy's has it.
    ask_keys
        Ask clients for an API key, also where no log is kept. Not behind a proxy, which has none.
    greatest_copy_age_s
        For how many seconds after the lake was last reached its local copy is served from.
    server
        How it listens, and how it ends.

    """
    from lake.bucket import check_before_start
    from lake.program_log import configure_logging

    def application(worker: Worker) -> Application:
        from serving.app import create_app

        home = Home.from_environment()
        if stand_alone:
            check_before_start(home.lake)
        return create_app(
            home,
            use_case,
            arm,
            log=durability if stand_alone else None,
            ask_keys=ask_keys,
            greatest_copy_age_s=greatest_copy_age_s,
            worker=worker,
        )

    configure_logging()
    run(application, host, port, server, f"the predictor of {use_case}/{arm}")
