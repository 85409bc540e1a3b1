"""What those who run the proxy ask it: is it ready, what is in force, what does it count."""

import math
from collections.abc import Iterable

import msgspec
from litestar import MediaType, Response
from prometheus_client import Metric

from lake.copies import LakeStatus
from lake.errors import Unavailable
from lake.home import Home
from lake.interface.problems import MEDIA_TYPE
from lake.interface.worker import Worker
from lake.log.durability import Durability
from lake.log.group_commit import GroupCommit
from lake.log.spool_metrics import SpoolMetrics
from lake.parameters import Parameters
from lake.release.expiry import remaining_s
from proxy.metrics import Metrics
from proxy.replicas import ReplicaState
from proxy.resilience import resilience_of
from proxy.routing import challenger_shares
from proxy.shadows import Shadows
from proxy.upstream import Upstreams
from proxy.watch import Watch


class LiveArm(msgspec.Struct, frozen=True, kw_only=True):
    """A release that may answer, and its share of the requests."""

    role: str
    release_seq: int
    model_version: str
    package_digest: str
    share: float
    expires_at_utc: str | None


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of the parameters is in force, why a newer one is not, and why the use case is stopped, if it is.

    `held` are changes that hold on this machine and that the lake does not have yet.
    """

    version: int
    refused: str | None
    stopped: str | None
    stopped_arms: dict[str, str]
    held: list[str]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /health/ready`, by use case: what is live on each arm, what is wrong, which releases expire soon, and the lake.

    A proxy that is `leaving` was told to stop: it answers who is connected, and wants nobody new.
    """

    ready: bool
    leaving: bool
    arms: dict[str, dict[str, LiveArm]]
    parameters: dict[str, InForce]
    log_failing: str | None
    log_durability: Durability
    alarms: dict[str, str]
    notices: dict[str, list[str]]
    lake: dict[str, LakeStatus]


class Operation:
    """Answers the operator's questions."""

    def __init__(
        self,
        home: Home,
        watch: Watch,
        upstreams: Upstreams,
        shadows: Shadows,
        spool: GroupCommit,
        metrics: Metrics,
        worker: Worker,
    ) -> None:
        self._worker = worker
        self._watch = watch
        self._upstreams = upstreams
        self._shadows = shadows
        self._spool = spool
        self._metrics = metrics
        self._log = SpoolMetrics(metrics.registry, home, spool)

    def parameters(self, use_case: str) -> Parameters:
        """The parameters in force. Raises NotFound."""
        return self._watch.state(use_case).parameters

    def readiness(self) -> Readiness:
        """Ready when some use case has a champion that may answer and the log can be written, until it is told to stop."""
        watch, failing = self._watch, self._spool.failure
        able = failing is None and any(self._has_champion(use_case) for use_case in watch.use_cases)
        return Readiness(
            ready=able and not self._worker.leaving,
            leaving=self._worker.leaving,
            arms={use_case: self._live_arms(use_case) for use_case in watch.use_cases},
            parameters={use_case: self._in_force(use_case) for use_case in watch.use_cases},
            log_failing=failing,
            log_durability=self._spool.slot.durability,
            alarms=dict(watch.alarms),
            notices={use_case: watch.notices(use_case) for use_case in watch.use_cases},
            lake={use_case: watch.lake(use_case) for use_case in watch.use_cases},
        )

    async def ask_champion(self, use_case: str, path: str) -> Response[bytes]:
        """A page of the champion's predictor. Raises NotFound, Unavailable, Refused."""
        state = self._watch.state(use_case)
        champion = state.live.champion
        arm = None if champion is None else state.parameters.arms.get(champion.arm)
        if champion is None or arm is None or not arm.upstreams:
            raise Unavailable(f"model {use_case!r}", "no champion is released and reachable", "An approver releases one.")
        resilience = resilience_of(state.parameters)
        status, body = await self._upstreams.fetch(use_case, champion.arm, arm.upstreams, path, resilience)
        media_type = MediaType.JSON if status < 400 else MEDIA_TYPE  # noqa: PLR2004 - where refusals begin
        return Response(body, status_code=status, media_type=media_type)

    def replicas(self, use_case: str, arm: str) -> list[ReplicaState]:
        """The replicas of an arm that were asked so far, whether for an answer or in the shadow."""
        return self._upstreams.states(use_case, arm) + self._shadows.states(use_case, arm)

    def measure(self) -> Iterable[Metric]:
        """All metrics, with the gauges that are read only now."""
        metrics = self._metrics
        self._log.measure()
        metrics.share.clear()
        metrics.expires.clear()
        metrics.circuit.clear()
        metrics.in_flight.clear()
        for use_case in self._watch.use_cases:
            lake, releases = self._watch.lake(use_case), self._watch.state(use_case).live.releases
            metrics.reachable.labels(use_case).set(lake.reachable)
            metrics.copy_age.labels(use_case).set(math.nan if lake.copy_age_s is None else lake.copy_age_s)
            metrics.alarm.labels(use_case).set(use_case in self._watch.alarms)
            in_force = self._in_force(use_case)
            metrics.parameters_version.labels(use_case).set(in_force.version)
            metrics.parameters_refused.labels(use_case).set(in_force.refused is not None)
            metrics.stopped.labels(use_case).set(in_force.stopped is not None)
            for name, arm in self._live_arms(use_case).items():
                metrics.share.labels(use_case, name).set(arm.share)
                metrics.expires.labels(use_case, name).set(remaining_s(releases.get(name), self._watch.clock()))
                for replica in self.replicas(use_case, name):
                    metrics.circuit.labels(use_case, name, replica.address, replica.circuit).set(1)
                    metrics.in_flight.labels(use_case, name, replica.address).set(replica.in_flight)
        return metrics.registry.collect()

    def _in_force(self, use_case: str) -> InForce:
        watch = self._watch
        stop = watch.switch.stop_of(use_case)
        return InForce(
            version=watch.state(use_case).parameters.version,
            refused=watch.followed.refusal(use_case),
            stopped=None if stop is None else f"by {stop.by}: {stop.why}",
            stopped_arms={arm: f"by {one.by}: {one.why}" for arm, one in watch.switch.stopped_arms(use_case).items()},
            held=[str(change) for change in watch.switch.changes(use_case)],
        )

    def _has_champion(self, use_case: str) -> bool:
        try:
            return self._watch.live(use_case).champion is not None
        except Unavailable:
            return False

    def _live_arms(self, use_case: str) -> dict[str, LiveArm]:
        state = self._watch.state(use_case)
        now = self._watch.clock()
        answering = state.answering(now)
        shares = {
            release.arm: share
            for release, share in challenger_shares(state.parameters, answering, now, self._watch.switch.held(use_case))
        }
        champion = answering.champion
        if champion is not None:
            shares[champion.arm] = 1 - sum(shares.values())
        return {
            name: LiveArm(
                role=release.role,
                release_seq=release.seq,
                model_version=release.model_version,
                package_digest=release.package_digest,
                share=shares.get(name, 0.0),
                expires_at_utc=release.expires_at_utc,
            )
            for name, release in state.live.releases.items()
        }
