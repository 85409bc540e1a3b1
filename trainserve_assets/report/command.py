"""`trainserve reports`: serves the reports that evaluations left in the lake, to read and no more."""

import signal
import threading

from lake.home import Home


def reports(*, host: str = "127.0.0.1", port: int = 3001) -> None:
    """Serve the report, model card and document of every evaluation, with an index at /, until stopped.

    Parameters
    ----------
    host
        The address to listen on. Whoever reaches it can read every report.
    port
        The port to listen on.

    """
    from lake.program_log import configure_logging
    from trainserve_assets.report.server import ReportServer

    configure_logging()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with ReportServer(Home.from_environment().lake, host, port) as server:
        threading.Thread(target=server.serve_forever, name="reports", daemon=True).start()
        stopped.wait()
        server.shutdown()
