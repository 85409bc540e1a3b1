"""How the proxy stands now, for the person who operates it: gathered from all who know a part of it."""

from collections.abc import Iterator

import msgspec

from lake.copies import LakeStatus
from lake.documents import DocumentStore
from lake.errors import TrainServeError
from lake.home import Home
from lake.log.backlog import waiting
from lake.parameters import Parameters, find_parameters
from lake.parameters.held import HeldChange
from lake.times import rfc3339
from proxy.metrics import Metrics
from proxy.observed import Observed, Outcomes
from proxy.operation import LiveArm, Operation, Readiness
from proxy.replicas import ReplicaState
from proxy.watch import Watch

SHOWN_CHANGES = 5
_ROLES = ("champion", "challenger", "shadow")


class ArmStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A release that may answer: its share, what was seen of it in the last minute, its replicas.

    `mirrored` is what became of the requests that a shadow was to be asked; `made_up_for`, how many another arm was asked for,
    as this one failed or had no model yet; `switched_off`, that the parameters say not to ask.
    """

    name: str
    live: LiveArm
    observed: Observed
    replicas: list[ReplicaState]
    mirrored: dict[str, int]
    made_up_for: int
    switched_off: bool


class UseCaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One use case: whether it answers, all its clients met in the last minute, its arms and the last changes."""

    name: str
    parameters: Parameters
    stopped: str | None
    alarm: str | None
    notices: list[str]
    held: tuple[HeldChange, ...]
    lake: LakeStatus
    observed: Observed
    arms: list[ArmStatus]
    changes: list[Parameters]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole, of this worker; the log's backlog and lag are those of the machine."""

    at_utc: str
    ready: bool
    log_failing: str | None
    log_durability: str
    backlog_bytes: int
    lag_s: float
    use_cases: list[UseCaseStatus]


class StatusBoard:
    """Gathers the status."""

    def __init__(self, home: Home, watch: Watch, operation: Operation, metrics: Metrics, outcomes: Outcomes) -> None:
        self._home = home
        self._watch = watch
        self._operation = operation
        self._metrics = metrics
        self._outcomes = outcomes
        self._store = DocumentStore(home.lake, make=False)
        self._changes: dict[tuple[str, int], Parameters] = {}

    def look(self) -> Status:
        """How it stands now. Reads the spool's folder, and the lake for changes that were not seen yet."""
        readiness, slots = self._operation.readiness(), waiting(self._home)
        return Status(
            at_utc=rfc3339(self._watch.clock()),
            ready=readiness.ready,
            log_failing=readiness.log_failing,
            log_durability=readiness.log_durability,
            backlog_bytes=sum(slot.bytes for slot in slots),
            lag_s=max((slot.lag_s for slot in slots), default=0.0),
            use_cases=[self._use_case(name, readiness) for name in self._watch.use_cases],
        )

    def _use_case(self, name: str, readiness: Readiness) -> UseCaseStatus:
        parameters = self._watch.state(name).parameters
        arms = sorted(readiness.arms[name].items(), key=lambda one: (_ROLES.index(one[1].role), one[0]))
        return UseCaseStatus(
            name=name,
            parameters=parameters,
            stopped=readiness.parameters[name].stopped,
            alarm=readiness.alarms.get(name),
            notices=readiness.notices[name],
            held=self._watch.switch.changes(name),
            lake=readiness.lake[name],
            observed=self._outcomes.observed(name, None),
            arms=[self._arm(name, arm, live, parameters) for arm, live in arms],
            changes=list(self._last_changes(parameters, readiness.lake[name])),
        )

    def _arm(self, use_case: str, name: str, live: LiveArm, parameters: Parameters) -> ArmStatus:
        known = parameters.arms.get(name)
        return ArmStatus(
            name=name,
            live=live,
            observed=self._outcomes.observed(use_case, name),
            replicas=self._operation.replicas(use_case, name),
            mirrored=self._metrics.mirrored(use_case, name),
            made_up_for=self._metrics.made_up_for(use_case, name),
            switched_off=known is None or not known.active or not known.upstreams,
        )

    def _last_changes(self, newest: Parameters, lake: LakeStatus) -> Iterator[Parameters]:
        """The newest versions, the last one first; those that are not known yet are read while the lake answers."""
        if newest.version:
            self._changes[newest.use_case, newest.version] = newest
        for version in range(newest.version, max(newest.version - SHOWN_CHANGES, 0), -1):
            key = newest.use_case, version
            if key not in self._changes and lake.reachable:
                try:
                    found = find_parameters(self._store, *key)
                except TrainServeError:
                    found = None
                if found is not None:
                    self._changes[key] = found
            if key in self._changes:
                yield self._changes[key]
