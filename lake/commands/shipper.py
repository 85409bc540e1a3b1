"""`trainserve shipper`: runs the shipper of this machine."""

import signal
import threading

from lake.home import Home


def shipper(
    *,
    freshness_s: float = 5.0,
    rows_by_commit: int = 100_000,
    bytes_by_commit: int = 64 * 1024 * 1024,
    metrics_host: str = "127.0.0.1",
    metrics_port: int = 0,
) -> None:
    """Move closed segments of every spool of this machine into the Delta tables, until stopped.

    Several may run on one machine: each slot is in the hands of one of them at a time.

    Parameters
    ----------
    freshness_s
        Seconds after its arrival in which a record is to be in its table.
    rows_by_commit
        Rows that make a commit full, so that it is made sooner; a larger backlog is shipped in several.
    bytes_by_commit
        The same in bytes of the spool. It bounds the memory, to about ten times as much.
    metrics_host
        Address on which Prometheus may ask for metrics.
    metrics_port
        Port for that; 0 is none.

    """
    from lake.allocator import keep_free_memory

    keep_free_memory()

    from lake.bucket import check_before_start
    from lake.failpoints import check_failpoint
    from lake.log.shipper import Pace, Shipper
    from lake.log.shipper_metrics import ShipperMetrics
    from lake.program_log import configure_logging

    configure_logging()
    check_failpoint()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    home = Home.from_environment()
    check_before_start(home.lake)
    metrics = ShipperMetrics(home)
    if metrics_port:
        metrics.serve(metrics_host, metrics_port)
    pace = Pace(freshness_s=freshness_s, rows_by_commit=rows_by_commit, bytes_by_commit=bytes_by_commit)
    Shipper(home, pace, metrics).run(stopped)
