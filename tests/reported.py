"""A server of the reports on a home's lake, in a thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lake.documents import DocumentStore
from lake.home import Home
from trainserve_assets.report.server import ReportServer


@contextmanager
def reports_on(home: Home) -> Iterator[ReportServer]:
    """It serves until left, on a free port."""
    DocumentStore(home.lake)
    with ReportServer(home.lake, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
