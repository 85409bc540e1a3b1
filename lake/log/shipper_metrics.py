"""What the shipper counts, and what waits for it, for Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lake.errors import SettingError
from lake.home import Home
from lake.log.backlog import set_aside, waiting
from lake.log.freshness import Freshness


class ShipperMetrics:
    """Counters of one shipper, and gauges of what waits on its machine, which are read when they are asked for."""

    def __init__(self, home: Home) -> None:
        self.registry = CollectorRegistry()
        table = ["use_case", "table"]
        self.rows = Counter("trainserve_shipper_rows", "Rows that were new to their table", table, registry=self.registry)
        self.known_rows = Counter(
            "trainserve_shipper_known_rows", "Rows that their table had from an earlier life", table, registry=self.registry
        )
        self.commits = Counter(
            "trainserve_shipper_commits", "Batches that gave their table new rows", table, registry=self.registry
        )
        self.failures = Counter(
            "trainserve_shipper_failures",
            "Batches that could not be shipped, to be tried again",
            ["slot"],
            registry=self.registry,
        )
        self.set_aside_records = Counter(
            "trainserve_shipper_set_aside_records", "Records that nobody can read", registry=self.registry
        )
        self.last_round = Gauge(
            "trainserve_shipper_last_round_timestamp_seconds", "When every slot was last looked at", registry=self.registry
        )
        self.registry.register(_Backlog(home))
        self.registry.register(Freshness(home))

    def serve(self, host: str, port: int) -> None:
        """Answer Prometheus from a thread, as long as the process lives. Raises SettingError where the port is taken."""
        try:
            start_http_server(port, host, self.registry)
        except OSError as error:
            raise SettingError("--metrics-port", f"{host}:{port}", f"an address that is free ({error.strerror})") from error


class _Backlog(Collector):
    def __init__(self, home: Home) -> None:
        self._home = home

    def describe(self) -> Iterator[Metric]:
        return iter(())  # else it would be read to learn its names

    def collect(self) -> Iterator[Metric]:
        rows = GaugeMetricFamily("trainserve_log_waiting_rows", "Records that no table has yet", labels=["slot"])
        size = GaugeMetricFamily("trainserve_log_waiting_bytes", "Bytes that no table has yet", labels=["slot"])
        lag = GaugeMetricFamily("trainserve_log_lag_seconds", "Age of the oldest record that no table has", labels=["slot"])
        for slot in waiting(self._home):
            rows.add_metric([slot.slot], slot.rows)
            size.add_metric([slot.slot], slot.bytes)
            lag.add_metric([slot.slot], slot.lag_s)
        kept = set_aside(self._home)
        yield from (rows, size, lag)
        yield GaugeMetricFamily("trainserve_log_set_aside_bytes", "Bytes kept of what nobody can read", kept.bytes)
        yield GaugeMetricFamily("trainserve_log_set_aside_files", "Files kept of what nobody can read", kept.files)
