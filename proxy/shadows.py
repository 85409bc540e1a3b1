"""Shadow arms: what was answered is asked of them too, and what they say is logged. Nobody waits for it.

They come after the answer, over connections of their own, so many at once and so many waiting; what goes beyond that is
dropped. Dropped, failed and lost ones are counted, and leave no row.
"""

import asyncio
import time
from collections import deque
from http import HTTPStatus

import msgspec

from lake.decoder import Rows
from lake.errors import SpoolUnavailable, Unavailable
from lake.home import now_us
from lake.interface.bundle import ModelRequest
from lake.interface.messages import InterfaceName
from lake.log.exchange import Exchange
from lake.log.group_commit import GroupCommit
from lake.parameters.mirroring import is_mirrored
from proxy.metrics import Metrics
from proxy.observed import Outcomes
from proxy.replicas import ReplicaState
from proxy.resilience import resilience_of
from proxy.upstream import Inquiry, UpstreamFailed, Upstreams
from proxy.watch import Watch

MOST_WAITING = 256
MOST_WAITING_BYTES = 4 * 1024 * 1024


class _Mirrored(msgspec.Struct, frozen=True):
    """An answered request, to be asked again."""

    exchange: Exchange
    interface: InterfaceName
    rows: Rows


class _Line(msgspec.Struct):
    """What is under way to one shadow arm, and what waits for its turn."""

    asking: int = 0
    waiting: deque[_Mirrored] = msgspec.field(default_factory=deque)
    waiting_bytes: int = 0


class Shadows:
    """The shadow arms of every use case."""

    def __init__(self, watch: Watch, spool: GroupCommit, metrics: Metrics, outcomes: Outcomes) -> None:
        self._watch = watch
        self._spool = spool
        self._metrics = metrics
        self._outcomes = outcomes
        self._upstreams = Upstreams(metrics)
        self._lines: dict[tuple[str, str], _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def mirror(self, exchange: Exchange, interface: InterfaceName, rows: Rows) -> None:
        """Take an answered request for each live shadow. Returns at once."""
        use_case = exchange.use_case
        for arm, release in self._watch.state(use_case).live.releases.items():
            if release.role == "shadow" and arm != exchange.arm and self._may_be_asked(use_case, arm):
                self._offer(arm, _Mirrored(exchange, interface, rows))

    def states(self, use_case: str, arm: str) -> list[ReplicaState]:
        """What is known of the replicas of a shadow arm."""
        return self._upstreams.states(use_case, arm)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._upstreams.close()

    def _offer(self, arm: str, mirrored: _Mirrored) -> None:
        use_case, size = mirrored.exchange.use_case, len(mirrored.exchange.body)
        mirroring = self._watch.state(use_case).parameters.arms[arm].shadow
        if not is_mirrored(mirroring.sample, arm, mirrored.exchange.request_id):
            return
        line = self._lines.get((use_case, arm))
        if line is None:
            line = self._lines[use_case, arm] = _Line()
        if not self._upstreams.admits(use_case, arm):
            self._count(use_case, arm, "dropped")
        elif line.asking < mirroring.most_at_once:
            line.asking += 1
            task = asyncio.get_running_loop().create_task(self._follow(arm, line, mirrored))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(line.waiting) < MOST_WAITING and line.waiting_bytes + size <= MOST_WAITING_BYTES:
            line.waiting.append(mirrored)
            line.waiting_bytes += size
        else:
            self._count(use_case, arm, "dropped")

    async def _follow(self, arm: str, line: _Line, mirrored: _Mirrored) -> None:
        """Ask about this request, and then about those that wait."""
        try:
            await self._ask(arm, mirrored)
            while line.waiting:
                if not self._upstreams.admits(mirrored.exchange.use_case, arm):
                    self._count(mirrored.exchange.use_case, arm, "dropped", len(line.waiting))
                    line.waiting.clear()
                    line.waiting_bytes = 0
                    return
                mirrored = line.waiting.popleft()
                line.waiting_bytes -= len(mirrored.exchange.body)
                await self._ask(arm, mirrored)
        finally:
            line.asking -= 1

    async def _ask(self, arm: str, mirrored: _Mirrored) -> None:
        use_case, request_id = mirrored.exchange.use_case, mirrored.exchange.request_id
        if not self._may_be_asked(use_case, arm):
            self._count(use_case, arm, "dropped")
            return
        parameters = self._watch.state(use_case).parameters
        resilience = msgspec.structs.replace(resilience_of(parameters), attempts=1)
        request = ModelRequest(mirrored.interface, use_case, request_id, mirrored.exchange.body)
        inquiry = Inquiry(request, len(mirrored.rows.records))
        exchange = _of_the_shadow(mirrored.exchange, arm, parameters.version)
        try:
            answer = await self._upstreams.ask(arm, parameters.arms[arm].upstreams, inquiry, resilience, resilience.timeout_s)
        except UpstreamFailed as failure:
            # Without an attempt its circuit was open: it is left alone, and nothing was seen of it.
            self._note(use_case, arm, failure.latency_us, "failed" if failure.attempts else "dropped")
            return
        by = answer.by
        live = None if by is None else self._watch.state(use_case).release_of(arm, by.package_digest, now_us())
        if by is None or live is None or live.role != "shadow" or (by.arm, by.request_id) != (arm, request_id):
            self._note(use_case, arm, answer.latency_us, "failed")
            return
        exchange.release, exchange.engine, exchange.attempts = live, by.engine, answer.attempts
        exchange.upstream_latency_us, exchange.outcome, exchange.status = answer.latency_us, "answered", HTTPStatus.OK
        try:
            await self._spool.append(exchange.records(mirrored.rows, answer.scores))
        except SpoolUnavailable:
            self._note(use_case, arm, answer.latency_us, "lost")
        else:
            self._note(use_case, arm, answer.latency_us, "logged")

    def _may_be_asked(self, use_case: str, arm: str) -> bool:
        """Whether this arm is a live shadow that the parameters let be asked, by what holds now."""
        parameters = self._watch.state(use_case).parameters
        known = parameters.arms.get(arm)
        if known is None or not known.active or not known.upstreams or not parameters.active:
            return False
        try:
            release = self._watch.live(use_case).on(arm)
        except Unavailable:
            return False
        return release is not None and release.role == "shadow"

    def _note(self, use_case: str, arm: str, latency_us: int, outcome: str) -> None:
        self._count(use_case, arm, outcome)
        if outcome != "dropped":
            self._outcomes.note(use_case, arm, latency_us, failed=outcome == "failed")

    def _count(self, use_case: str, arm: str, outcome: str, requests: int = 1) -> None:
        self._metrics.shadows.labels(use_case, arm, outcome).inc(requests)


def _of_the_shadow(exchange: Exchange, arm: str, parameters_version: int) -> Exchange:
    """The same request, as it is asked of a shadow."""
    return msgspec.structs.replace(
        exchange,
        purpose="shadow",
        rule="shadow",
        fired=None,
        answers=None,
        arm=arm,
        release=None,
        assigned=None,
        engine=None,
        attempts=0,
        parameters_version=parameters_version,
        started=time.perf_counter(),
    )
