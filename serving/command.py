"""`trainserve predictor`: runs one predictor."""

from lake.home import Home


def predictor(use_case: str, *, arm: str = "champion", host: str = "127.0.0.1", port: int = 8101) -> None:
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

    """
    from lake.interface.server import serve
    from lake.listener import bind
    from lake.logs import configure_logging
    from serving.app import create_app

    configure_logging()
    listener = bind(host, port, f"the predictor of {use_case}/{arm}")
    serve(create_app(Home.from_environment(), use_case, arm), listener)
