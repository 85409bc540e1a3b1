"""`trainserve shipper`: runs the shipper of this machine."""

import signal
import threading

from lake.home import Home


def shipper(*, interval_s: float = 1.0) -> None:
    """Move closed segments of every spool of this machine into the Delta tables, until stopped.

    Parameters
    ----------
    interval_s
        Seconds between two looks at the spools.

    """
    from lake.log.shipper import Shipper
    from lake.program_log import configure_logging

    configure_logging()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    Shipper(Home.from_environment()).run(stopped, interval_s)
