"""What a predictor counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from lake.interface.messages import InterfaceName

_LATENCY_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one application; each application has a registry of its own."""

    def __init__(self, use_case: str, arm: str) -> None:
        self.registry = CollectorRegistry()
        labels = {"use_case": use_case, "arm": arm}
        requests = Counter(
            "trainserve_predictor_requests", "Requests by outcome", [*labels, "interface", "outcome"], registry=self.registry
        )
        latency = Histogram(
            "trainserve_predictor_latency_seconds",
            "Time from body to answer",
            [*labels, "interface"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        rows = Counter("trainserve_predictor_rows", "Rows answered", [*labels], registry=self.registry)
        release = Gauge("trainserve_predictor_release_seq", "The release served, 0 for none", [*labels], registry=self.registry)
        alarm = Gauge(
            "trainserve_predictor_alarm", "1 while the ledger or a release is not usable", [*labels], registry=self.registry
        )
        interfaces: tuple[InterfaceName, ...] = ("predict", "infer")
        self.answered = {name: requests.labels(**labels, interface=name, outcome="answered") for name in interfaces}
        self.refused = {name: requests.labels(**labels, interface=name, outcome="refused") for name in interfaces}
        self.unavailable = {name: requests.labels(**labels, interface=name, outcome="unavailable") for name in interfaces}
        self.latency = {name: latency.labels(**labels, interface=name) for name in interfaces}
        self.rows = rows.labels(**labels)
        self.release_seq = release.labels(**labels)
        self.alarm = alarm.labels(**labels)
