"""What the proxy counts, for Prometheus."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.samples import Sample

from lake.log.exchange import Exchange

_LATENCY_BUCKETS_S = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one application; each application has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "trainserve_proxy_requests",
            "Requests by outcome, and by what answered",
            ["use_case", "arm", "outcome", "engine", "model"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "trainserve_proxy_latency_seconds",
            "Time from request to logged answer",
            ["use_case", "arm"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.labels = Counter("trainserve_proxy_labels", "Labels received", ["use_case"], registry=self.registry)
        self.expires = Gauge(
            "trainserve_proxy_release_expires_seconds",
            "Time until a live release expires, negative afterwards",
            ["use_case", "arm"],
            registry=self.registry,
        )
        self.alarm = Gauge("trainserve_proxy_alarm", "1 while readiness names an alarm", ["use_case"], registry=self.registry)
        self.reachable = Gauge(
            "trainserve_proxy_lake_reachable", "1 while the lake answers", ["use_case"], registry=self.registry
        )
        self.copy_age = Gauge(
            "trainserve_proxy_copy_age_seconds", "Time since the lake was last reached", ["use_case"], registry=self.registry
        )
        self.parameters_version = Gauge(
            "trainserve_proxy_parameters_version", "Version of the parameters in force", ["use_case"], registry=self.registry
        )
        self.parameters_refused = Gauge(
            "trainserve_proxy_parameters_refused",
            "1 while the newest version of the parameters is not followed, as it does not hold",
            ["use_case"],
            registry=self.registry,
        )
        self.stopped = Gauge(
            "trainserve_proxy_stopped", "1 while the kill switch of this machine stops it", ["use_case"], registry=self.registry
        )
        self.share = Gauge("trainserve_proxy_share", "Share of requests", ["use_case", "arm"], registry=self.registry)
        of_arm = ["use_case", "arm"]
        self.retries = Counter("trainserve_proxy_retries", "Second tries at a replica", of_arm, registry=self.registry)
        self.retries_refused = Counter(
            "trainserve_proxy_retries_refused", "Second tries that the budget had no token for", of_arm, registry=self.registry
        )
        self.fallbacks = Counter(
            "trainserve_proxy_fallbacks",
            "Requests that another arm was asked for, by the arm that failed",
            of_arm,
            registry=self.registry,
        )
        self.shadows = Counter(
            "trainserve_proxy_shadow_requests",
            "Requests mirrored to a shadow, by what became of them: logged, dropped, failed, lost",
            [*of_arm, "outcome"],
            registry=self.registry,
        )
        self.circuit = Gauge(
            "trainserve_proxy_circuit",
            "1 for the state of a replica's circuit: closed, open, half-open",
            [*of_arm, "replica", "state"],
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "trainserve_proxy_in_flight", "Requests that a replica has to answer", [*of_arm, "replica"], registry=self.registry
        )
        self.not_logged = Counter(
            "trainserve_proxy_requests_not_logged",
            "Refused requests that left no row: of strangers beyond a few a second, for models that are not here",
            ["status"],
            registry=self.registry,
        )
        self._children: dict[tuple[str | None, ...], tuple[Counter, Histogram]] = {}

    def mirrored(self, use_case: str, arm: str) -> dict[str, int]:
        """What became of the requests that were mirrored to an arm, by outcome."""
        return {one.labels["outcome"]: int(one.value) for one in _of_arm(self.shadows, use_case, arm)}

    def made_up_for(self, use_case: str, arm: str) -> int:
        """How many requests another arm was asked for, as this one has failed."""
        return sum(int(one.value) for one in _of_arm(self.fallbacks, use_case, arm))

    def count(self, exchange: Exchange) -> None:
        """Count one request that has ended."""
        release = exchange.release
        model = None if release is None else release.model_version
        key: tuple[str | None, ...] = (exchange.use_case, exchange.arm, exchange.outcome, exchange.engine, model)
        children = self._children.get(key)
        if children is None:
            names = [name or "none" for name in key]
            children = (self._requests.labels(*names), self._latency.labels(*names[:2]))
            self._children[key] = children
        children[0].inc()
        children[1].observe(time.perf_counter() - exchange.started)


def _of_arm(counter: Counter, use_case: str, arm: str) -> list[Sample]:
    """What was counted for an arm."""
    samples = (sample for family in counter.collect() for sample in family.samples if sample.name.endswith("_total"))
    return [one for one in samples if (one.labels["use_case"], one.labels["arm"]) == (use_case, arm)]
