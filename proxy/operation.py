"""What those who run the proxy ask it: is it ready, what is in force, what does it count."""

import msgspec
from litestar import MediaType, Response

from lake.errors import Unavailable
from lake.home import Home
from lake.interface.problems import MEDIA_TYPE
from lake.parameters import Parameters
from lake.shipper import backlog
from lake.spool.group_commit import GroupCommit
from proxy.metrics import Metrics
from proxy.routing import challenger_shares
from proxy.upstream import Upstreams
from proxy.watch import Watch


class LiveArm(msgspec.Struct, frozen=True, kw_only=True):
    """A release that may answer, and its share of the requests."""

    role: str
    release_seq: int
    model_version: str
    package_digest: str
    share: float


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /health/ready`: by use case and arm what may answer; `alarms` says what is wrong."""

    ready: bool
    arms: dict[str, dict[str, LiveArm]]
    log_failing: str | None
    alarms: dict[str, str]


class Operation:
    """Answers the operator's questions."""

    def __init__(self, home: Home, watch: Watch, upstreams: Upstreams, spool: GroupCommit, metrics: Metrics) -> None:
        self._home = home
        self._watch = watch
        self._upstreams = upstreams
        self._spool = spool
        self._metrics = metrics

    def parameters(self, use_case: str) -> Parameters:
        """The parameters in force. Raises NotFound."""
        return self._watch.state(use_case).parameters

    def readiness(self) -> Readiness:
        """Ready when some use case has a champion and the log can be written."""
        arms = {use_case: self._live_arms(use_case) for use_case in self._watch.use_cases}
        champion = any(arm.role == "champion" for live in arms.values() for arm in live.values())
        failing = self._spool.failure
        return Readiness(ready=champion and failing is None, arms=arms, log_failing=failing, alarms=dict(self._watch.alarms))

    async def ask_champion(self, use_case: str, path: str) -> Response[bytes]:
        """A page of the champion's predictor. Raises NotFound, Unavailable, Refused."""
        state = self._watch.state(use_case)
        champion = state.live.champion
        arm = None if champion is None else state.parameters.arms.get(champion.arm)
        if arm is None or not arm.upstreams:
            raise Unavailable(f"model {use_case!r}", "no champion is released and reachable", "An approver releases one.")
        status, body = await self._upstreams.fetch(arm.upstreams[0] + path, state.parameters.timeout_s)
        media_type = MediaType.JSON if status < 400 else MEDIA_TYPE  # noqa: PLR2004 - where refusals begin
        return Response(body, status_code=status, media_type=media_type)

    def measure(self) -> Metrics:
        """The counters, with the gauges that are read only now."""
        metrics = self._metrics
        metrics.log_records.set(self._spool.records_committed)
        metrics.log_commits.set(self._spool.commits)
        metrics.log_failing.set(self._spool.failure is not None)
        metrics.backlog_bytes.set(backlog(self._home).bytes)
        for use_case in self._watch.use_cases:
            for name, arm in self._live_arms(use_case).items():
                metrics.share.labels(use_case, name).set(arm.share)
        return metrics

    def _live_arms(self, use_case: str) -> dict[str, LiveArm]:
        state = self._watch.state(use_case)
        shares = {release.arm: share for release, share in challenger_shares(state.parameters, state.live)}
        champion = state.live.champion
        if champion is not None:
            shares[champion.arm] = 1 - sum(shares.values())
        return {
            name: LiveArm(
                role=release.role,
                release_seq=release.seq,
                model_version=release.model_version,
                package_digest=release.package_digest,
                share=shares.get(name, 0.0),
            )
            for name, release in state.live.releases.items()
        }
