"""How fresh the lake is, for Prometheus: log, labels and windows by what they rest on, and monitoring by its heartbeat.

It is told by the shipper, which lives on the serving side: a reader that went down with what it watches would tell nothing.
"""

import threading
import time
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lake.delta import Table
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.heartbeat import Heartbeat, find_heartbeat
from lake.home import Home
from lake.tables import LABELS, PREDICTIONS, WINDOWS
from lake.times import utc

# The column of each table whose greatest value says how fresh it is.
_COLUMNS = {PREDICTIONS: "received_at_utc", LABELS: "received_at_utc", WINDOWS: "labels_as_of_utc"}
_KEPT_S = 15.0


class Freshness(Collector):
    """Reads the lake when it is asked, at most every 15 seconds. While the lake is away it tells what it last saw: that ages."""

    def __init__(self, home: Home) -> None:
        self._lake = home.lake
        self._store: DocumentStore | None = None
        self._reading = threading.Lock()
        self._read_at = float("-inf")
        self._newest: dict[tuple[str, str], float] = {}
        self._heartbeats: dict[str, Heartbeat] = {}

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead."""
        return iter(())  # else it would be read to learn its names

    def collect(self) -> Iterator[Metric]:
        """What the lake says now."""
        with self._reading:
            if time.monotonic() - self._read_at >= _KEPT_S:
                self._read_at = time.monotonic()
                self._read()
        yield self._tables()
        yield from self._monitoring()

    def _read(self) -> None:
        try:
            self._store = self._store or DocumentStore(self._lake, make=False)
            for use_case in (name for name in self._store.folders() if not name.startswith("_")):
                if (heartbeat := find_heartbeat(self._store, use_case)) is not None:
                    self._heartbeats[use_case] = heartbeat
                for table, column in _COLUMNS.items():
                    if (newest := newest_of(Table(self._lake, use_case, table), column)) is not None:
                        self._newest[use_case, table] = newest.timestamp()
        except TrainServeError:
            return

    def _tables(self) -> Metric:
        newest = GaugeMetricFamily(
            "trainserve_table_newest_timestamp_seconds",
            "When the newest row of a table arrived, or of windows what they rest on",
            labels=["use_case", "table"],
        )
        for labels, value in self._newest.items():
            newest.add_metric(labels, value)
        return newest

    def _monitoring(self) -> Iterator[Metric]:
        of = ["use_case"]
        beat = GaugeMetricFamily(
            "trainserve_monitoring_heartbeat_timestamp_seconds", "When Dagster's daemon last gave a sign of life", labels=of
        )
        opened = GaugeMetricFamily("trainserve_alerts_open", "Alerts that are open", labels=[*of, "severity"])
        waiting = GaugeMetricFamily("trainserve_alerts_waiting", "Notices that no receiver has yet", labels=of)
        since = GaugeMetricFamily(
            "trainserve_alerts_waiting_since_timestamp_seconds", "Since when the oldest of them waits", labels=of
        )
        for name, heartbeat in self._heartbeats.items():
            beat.add_metric([name], utc(heartbeat.at_utc).timestamp())
            opened.add_metric([name, "warning"], heartbeat.open_warnings)
            opened.add_metric([name, "error"], heartbeat.open_errors)
            waiting.add_metric([name], heartbeat.waiting)
            since.add_metric([name], utc(heartbeat.waits_since_utc or heartbeat.at_utc).timestamp())
        yield from (beat, opened, waiting, since)


def newest_of(table: Table, column: str) -> datetime | None:
    """The greatest value of a column, as the table's log has it: no row is read. None without a table or rows."""
    import polars as pl

    if not table.exists():
        return None
    files = pl.DataFrame(table.open().get_add_actions(flatten=True))
    newest = files[f"max.{column}"].max() if f"max.{column}" in files.columns else None
    return newest if isinstance(newest, datetime) else None
