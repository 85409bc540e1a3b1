"""What a predictor counts, for Prometheus."""

import math
import time
from collections.abc import Iterable
from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

from lake.copies import Source
from lake.interface.bodies import Question
from lake.interface.messages import InterfaceName, Scored
from lake.release.expiry import remaining_s
from serving.follower import Follower
from serving.model import ReleasedModel

_LATENCY_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


class Metrics:
    """Counters of one application; each application has a registry of its own."""

    def __init__(self, use_case: str, arm: str) -> None:
        self.registry = CollectorRegistry()
        labels = {"use_case": use_case, "arm": arm}
        requests = Counter(
            "trainserve_predictor_requests",
            "Requests by outcome, and by what answered",
            [*labels, "interface", "outcome", "engine", "model"],
            registry=self.registry,
        )
        latency = Histogram(
            "trainserve_predictor_latency_seconds",
            "Time from body to answer",
            [*labels, "interface"],
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        rows = Counter("trainserve_predictor_rows", "Rows answered", [*labels], registry=self.registry)
        self._unknown = Counter(
            "trainserve_predictor_unknown_categories",
            "Rows answered although the model does not know the category of the field",
            [*labels, "field"],
            registry=self.registry,
        )
        release = Gauge("trainserve_predictor_release_seq", "The release served, 0 for none", [*labels], registry=self.registry)
        alarm = Gauge("trainserve_predictor_alarm", "1 while readiness names an alarm", [*labels], registry=self.registry)
        unverified = Gauge(
            "trainserve_predictor_unverified", "1 while an event or a package does not verify", [*labels], registry=self.registry
        )
        expires = Gauge(
            "trainserve_predictor_release_expires_seconds",
            "Time until the release served expires, negative afterwards",
            [*labels],
            registry=self.registry,
        )
        reachable = Gauge("trainserve_predictor_lake_reachable", "1 while the lake answers", [*labels], registry=self.registry)
        copy_age = Gauge(
            "trainserve_predictor_copy_age_seconds", "Time since the lake was last reached", [*labels], registry=self.registry
        )
        source = Gauge(
            "trainserve_predictor_package_source",
            "1 for where the package served was read",
            [*labels, "source"],
            registry=self.registry,
        )
        self.engine = Gauge("trainserve_predictor_engine", "1 for what answers", [*labels, "engine"], registry=self.registry)
        self.model = Gauge(
            "trainserve_predictor_model",
            "1 for the model that answers",
            [*labels, "model", "package_digest", "engine"],
            registry=self.registry,
        )
        instead = Gauge(
            "trainserve_predictor_engine_instead",
            "1 while the trained model's own engine answers in the place of the approved one",
            [*labels],
            registry=self.registry,
        )
        interfaces: tuple[InterfaceName, ...] = ("predict", "infer")

        def without_model(outcome: str) -> dict[InterfaceName, Counter]:
            return {
                name: requests.labels(**labels, interface=name, outcome=outcome, engine="none", model="none")
                for name in interfaces
            }

        self.refused = without_model("refused")
        self.unavailable = without_model("unavailable")
        self.unlogged = without_model("unlogged")  # answered or refused, and not sent: the log could not be written
        self._not_logged = Counter(
            "trainserve_predictor_requests_not_logged",
            "Refused requests that left no row, though a log is kept: of strangers beyond a few a second, for models not here",
            [*labels, "status"],
            registry=self.registry,
        )
        self._requests = requests
        self._answered: dict[tuple[InterfaceName, str, str], Counter] = {}
        self.latency = {name: latency.labels(**labels, interface=name) for name in interfaces}
        self.rows = rows.labels(**labels)
        self.release_seq = release.labels(**labels)
        self.alarm = alarm.labels(**labels)
        self.unverified = unverified.labels(**labels)
        self.expires = expires.labels(**labels)
        self.reachable = reachable.labels(**labels)
        self.copy_age = copy_age.labels(**labels)
        self.instead = instead.labels(**labels)
        self._labels = labels
        sources: tuple[Source, ...] = ("lake", "copy")
        self.source = {name: source.labels(**labels, source=name) for name in sources}

    def count(self, question: Question, model: ReleasedModel, scored: Scored, started: float) -> None:
        """Count one answer, to a request that began at this reading of `time.perf_counter`."""
        key = (question.interface, model.engine, model.release.model_version)
        answered = self._answered.get(key) or self._answers(*key)
        answered.inc()
        self.rows.inc(len(scored.scores))
        for fields in scored.unknown.values():
            for field in fields:
                self._unknown.labels(**self._labels, field=field).inc()
        self.latency[question.interface].observe(time.perf_counter() - started)

    def count_not_logged(self, status: HTTPStatus) -> None:
        """Count a refused request that left no row, where a log is kept."""
        self._not_logged.labels(**self._labels, status=int(status)).inc()

    def _answers(self, interface: InterfaceName, engine: str, model: str) -> Counter:
        """What counts the answers of an engine that runs this version of a model."""
        counter = self._requests.labels(**self._labels, interface=interface, outcome="answered", engine=engine, model=model)
        self._answered[interface, engine, model] = counter
        return counter

    def measure(self, follower: Follower) -> Iterable[Metric]:
        """All metrics, with the gauges that are read only now."""
        model, lake = follower.current, follower.lake.status()
        self.release_seq.set(model.release.seq if model else 0)
        self.expires.set(remaining_s(follower.release, follower.clock()))
        self.engine.clear()
        self.model.clear()
        if model:
            self.engine.labels(**self._labels, engine=model.engine).set(1)
            digest, version = model.release.package_digest, model.release.model_version
            self.model.labels(**self._labels, model=version, package_digest=digest, engine=model.engine).set(1)
        self.instead.set(model is not None and model.instead is not None)
        self.alarm.set(follower.alarm is not None)
        self.unverified.set(follower.unverified)
        self.reachable.set(lake.reachable)
        self.copy_age.set(math.nan if lake.copy_age_s is None else lake.copy_age_s)
        for name, gauge in self.source.items():
            gauge.set(model is not None and model.source == name)
        return self.registry.collect()
