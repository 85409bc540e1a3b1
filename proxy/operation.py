"""What those who run the proxy ask it: is it ready, what is in force, what does it count."""

import math

import msgspec
from litestar import MediaType, Response

from lake.copies import LakeStatus
from lake.errors import Unavailable
from lake.home import Home
from lake.interface.problems import MEDIA_TYPE
from lake.log.backlog import backlog
from lake.log.group_commit import GroupCommit
from lake.log.slot import Durability
from lake.parameters import Parameters
from lake.release.expiry import remaining_s
from proxy.metrics import Metrics
from proxy.replicas import ReplicaState
from proxy.resilience import resilience_of
from proxy.room import Disk
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


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /health/ready`, by use case: what is live on each arm, what is wrong, which releases expire soon, and the lake."""

    ready: bool
    arms: dict[str, dict[str, LiveArm]]
    log_failing: str | None
    log_durability: Durability
    alarms: dict[str, str]
    notices: dict[str, list[str]]
    lake: dict[str, LakeStatus]


class Operation:
    """Answers the operator's questions."""

    def __init__(
        self, home: Home, watch: Watch, upstreams: Upstreams, shadows: Shadows, spool: GroupCommit, metrics: Metrics
    ) -> None:
        self._home = home
        self._watch = watch
        self._upstreams = upstreams
        self._shadows = shadows
        self._spool = spool
        self._metrics = metrics
        self._disk = Disk(home.spools)

    def parameters(self, use_case: str) -> Parameters:
        """The parameters in force. Raises NotFound."""
        return self._watch.state(use_case).parameters

    def readiness(self) -> Readiness:
        """Ready when some use case has a champion that may answer and the log can be written."""
        watch, failing = self._watch, self._spool.failure
        return Readiness(
            ready=failing is None and any(self._has_champion(use_case) for use_case in watch.use_cases),
            arms={use_case: self._live_arms(use_case) for use_case in watch.use_cases},
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

    def measure(self) -> Metrics:
        """The counters, with the gauges that are read only now."""
        metrics = self._metrics
        metrics.log_records.set(self._spool.records_committed)
        metrics.log_commits.set(self._spool.commits)
        metrics.log_failing.set(self._spool.failure is not None)
        metrics.log_durability.labels(self._spool.slot.durability).set(1)
        metrics.log_torn_bytes.set(self._spool.slot.torn_bytes)
        room = self._disk.look()
        metrics.disk_free_bytes.set(room.free_bytes)
        metrics.disk_hours.set(room.hours_until_full)
        metrics.backlog_bytes.set(backlog(self._home).bytes)
        metrics.share.clear()
        metrics.expires.clear()
        metrics.circuit.clear()
        metrics.in_flight.clear()
        for use_case in self._watch.use_cases:
            lake, releases = self._watch.lake(use_case), self._watch.state(use_case).live.releases
            metrics.reachable.labels(use_case).set(lake.reachable)
            metrics.copy_age.labels(use_case).set(math.nan if lake.copy_age_s is None else lake.copy_age_s)
            metrics.alarm.labels(use_case).set(use_case in self._watch.alarms)
            for name, arm in self._live_arms(use_case).items():
                metrics.share.labels(use_case, name).set(arm.share)
                metrics.expires.labels(use_case, name).set(remaining_s(releases.get(name), self._watch.clock()))
                for replica in self.replicas(use_case, name):
                    metrics.circuit.labels(use_case, name, replica.address, replica.circuit).set(1)
                    metrics.in_flight.labels(use_case, name, replica.address).set(replica.in_flight)
        return metrics

    def _has_champion(self, use_case: str) -> bool:
        try:
            return self._watch.live(use_case).champion is not None
        except Unavailable:
            return False

    def _live_arms(self, use_case: str) -> dict[str, LiveArm]:
        state = self._watch.state(use_case)
        answering = state.answering(self._watch.clock())
        shares = {release.arm: share for release, share in challenger_shares(state.parameters, answering)}
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
