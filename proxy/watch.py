"""What the proxy goes by: for each use case its parameters, its live releases and its input schema, followed as they change."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
import structlog

from lake.copies import GREATEST_COPY_AGE_S, CopiedLake, LakeStatus
from lake.decoder import MAXIMUM_ROWS, Decoder
from lake.documents import DocumentStore
from lake.errors import NotFound, TrainServeError, Unavailable
from lake.home import Home, now_us
from lake.input_schema import InputSchema, find_input_schema
from lake.log.labels import LabelReader
from lake.log.privacy import Privacy, Redactor
from lake.parameters import Parameters
from lake.release.decision import RiskTier
from lake.release.expiry import ahead, refused, served_on
from lake.release.ledger import Ledger, is_begun
from lake.release.live import Live, Release, fold, revoked, tier_of
from lake.release.policy import BUILT_IN, Policy
from lake.release.trust import Trust
from lake.times import Clock, now_utc
from proxy.confirmation import Confirmation, goes_by
from proxy.followed import FollowedParameters
from proxy.plan import Plan
from proxy.switch import Switch

POLL_INTERVAL_S = 0.5
_SWITCH_INTERVAL_S = 0.2
# A predictor swaps within a poll of the ledger; for so long the release that was just replaced may still answer.
SUPERSEDED_GRACE_US = 5_000_000

log = structlog.get_logger(__name__)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How rows and labels of a use case are read, and what of a row may be kept: all by one input schema."""

    decoder: Decoder
    redactor: Redactor
    labels: LabelReader


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one use case at one moment; replaced as a whole, never changed.

    `tier` says how much hangs on what is live; nobody knows before the first release, so then the most.
    """

    plan: Plan
    live: Live = Live({})
    superseded: Live = Live({})
    superseded_at_us: int = 0
    policy: Policy = BUILT_IN.policy
    reading: Reading | None = None
    tier: RiskTier = "high"

    @property
    def parameters(self) -> Parameters:
        """The parameters in force."""
        return self.plan.parameters

    def answering(self, now: datetime) -> Live:
        """What is live and may answer now: without what has expired, where the policy refuses that."""
        if self.policy.expired == "serve":
            return self.live
        return Live({arm: one for arm, one in self.live.releases.items() if refused(one, self.policy, now) is None})

    def release_of(self, arm: str, package_digest: str, at_us: int) -> Release | None:
        """The release under which an arm may have answered with this package, or None if the ledger shows none live."""
        current = self.live.on(arm)
        if current is not None and current.package_digest == package_digest:
            return current
        former = self.superseded.on(arm)
        in_grace = at_us - self.superseded_at_us < SUPERSEDED_GRACE_US
        return former if former is not None and in_grace and former.package_digest == package_digest else None


class Watch:
    """The state of every use case that the parameters name."""

    def __init__(
        self,
        home: Home,
        parameters: Mapping[str, Parameters],
        greatest_copy_age_s: float = GREATEST_COPY_AGE_S,
        clock: Clock = now_utc,
        maximum_rows: int = MAXIMUM_ROWS,
    ) -> None:
        self.alarms: dict[str, str] = {}
        self.clock = clock
        self._maximum_rows = maximum_rows
        self._home = home
        self._store = DocumentStore(home.lake, make=False)
        self._lakes = {use_case: CopiedLake(home, use_case, greatest_copy_age_s, clock) for use_case in parameters}
        self._ledgers: dict[str, Ledger] = {}
        self._notices: dict[str, list[str]] = {}
        self.switch = Switch(home)
        self.followed = FollowedParameters(home, self._store, parameters, clock)
        self._confirmation = Confirmation(home)
        self._then: list[Callable[[], None]] = []
        self._states = {use_case: State(plan=Plan(self.followed.of(use_case).document)) for use_case in parameters}
        self._tasks: list[asyncio.Task[None]] = []
        self._extra_look: asyncio.Task[None] | None = None
        self._looking = threading.Lock()  # two looks at once could put an older state over a newer one

    @property
    def use_cases(self) -> list[str]:
        """The use cases that are answered for."""
        return list(self._states)

    def state(self, use_case: str) -> State:
        """What holds now. Raises NotFound."""
        try:
            return self._states[use_case]
        except KeyError:
            raise NotFound("model", use_case, f"This proxy answers for {self.use_cases}.") from None

    def reading(self, use_case: str) -> Reading:
        """How its rows are read and kept. Raises NotFound, Unavailable before the first dataset."""
        reading = self.state(use_case).reading
        if reading is None:
            why = self.alarms.get(use_case, "its input schema is not in the lake yet")
            raise Unavailable(f"model {use_case!r}", why, f"Materialize {use_case}/dataset in Dagster first.")
        return reading

    def live(self, use_case: str) -> Live:
        """What may answer now. Raises NotFound, Unavailable when what is known of the lake is too old."""
        state = self.state(use_case)
        if (too_old := self._lakes[use_case].too_old()) is not None:
            raise Unavailable(f"model {use_case!r}", too_old, "It answers again once the lake is back.")
        return state.answering(self.clock())

    def lake(self, use_case: str) -> LakeStatus:
        """Whether the lake answers, and how old what is known of it is."""
        return self._lakes[use_case].status()

    def notices(self, use_case: str) -> list[str]:
        """The live releases that expire soon, or have."""
        state, now = self.state(use_case), self.clock()
        releases = state.live.releases.values()
        words = (ahead(one, now) or served_on(one, state.policy, now) or refused(one, state.policy, now) for one in releases)
        return [one for one in words if one is not None]

    def schemas(self) -> list[InputSchema]:
        """The input schemas that are known."""
        return [state.reading.decoder.schema for state in self._states.values() if state.reading is not None]

    @property
    def workers(self) -> int:
        """How many workers this machine has, this one among them."""
        return self._confirmation.workers

    def then(self, do: Callable[[], None]) -> None:
        """Do this too, each time that was looked: in the same thread, when nobody looks any more."""
        self._then.append(do)

    async def start(self) -> None:
        """Look once, then keep looking."""
        self._confirmation.start()
        self.switch.look()
        await asyncio.to_thread(self.look)
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._follow_switch())]

    async def stop(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        self._confirmation.stop()

    async def look_again(self) -> None:
        """Look now, and not only when the next look is due. Who asks meanwhile shares this one."""
        if self._extra_look is None or self._extra_look.done():
            self._extra_look = asyncio.create_task(asyncio.to_thread(self.look))
        await asyncio.shield(self._extra_look)

    def look(self) -> None:
        """Read what is new. What fails becomes an alarm, and what held before holds on; one failure hides no other news."""
        with self._looking:
            for use_case in self._states:
                alarms = [
                    alarm
                    for read in (self._read_releases, self._read_schema, self._read_parameters, self.followed.keep)
                    if (alarm := _alarm_of(read, use_case)) is not None
                ]
                if (refusal := self.followed.refusal(use_case)) is not None:
                    alarms.append(refusal)
                self._sound(use_case, "; ".join(dict.fromkeys([*alarms, *self._lakes[use_case].alarms()])))
                self._announce(use_case, self.notices(use_case))
            self._confirm()

    def look_at_switch(self) -> None:
        """Read what is stopped and held on this machine, and confirm it."""
        if self.switch.look():
            self._confirm()

    def _announce(self, use_case: str, notices: list[str]) -> None:
        for notice in notices:
            if notice not in self._notices.get(use_case, ()):
                log.warning("expires", use_case=use_case, why=notice)
        self._notices[use_case] = notices

    def _sound(self, use_case: str, alarm: str) -> None:
        if not alarm:
            self.alarms.pop(use_case, None)
        elif self.alarms.get(use_case) != alarm:
            log.warning("lake not usable, going on with what is known", use_case=use_case, why=alarm)
            self.alarms[use_case] = alarm

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            await asyncio.to_thread(self.look)
            for do in self._then:
                await asyncio.to_thread(do)

    async def _follow_switch(self) -> None:
        while True:
            await asyncio.sleep(_SWITCH_INTERVAL_S)
            await asyncio.to_thread(self.look_at_switch)

    def _confirm(self) -> None:
        """Say to whoever waits what this worker goes by."""
        confirmed = {
            use_case: goes_by(state.parameters, self.switch, self.followed.of(use_case))
            for use_case, state in self._states.items()
        }
        self._confirmation.say(confirmed)

    def _change(self, use_case: str, **changes: object) -> None:
        self._states[use_case] = msgspec.structs.replace(self._states[use_case], **changes)

    def _read_releases(self, use_case: str) -> None:
        ledger = self._ledgers.get(use_case)
        if ledger is None:
            if not is_begun(self._lakes[use_case], use_case, self._home.heads):
                return  # no key to trust is needed yet
            ledger = Ledger(self._lakes[use_case], use_case, Trust.read(self._home), self._home.heads, self.clock)
            self._ledgers[use_case] = ledger
        try:
            ledger.poll()
        finally:  # an entry that does not verify hides none of those before it
            self._follow_ledger(use_case, ledger)

    def _follow_ledger(self, use_case: str, ledger: Ledger) -> None:
        if self._states[use_case].policy != ledger.policy:
            self._change(use_case, policy=ledger.policy)
        before, live = self._states[use_case].live, fold(ledger.entries)
        if live == before:
            return
        log.info("live releases changed", use_case=use_case, live={arm: one.model_version for arm, one in live.releases.items()})
        ended = revoked(ledger.entries)
        superseded = Live(
            {
                arm: former
                for arm, former in before.releases.items()
                if live.on(arm) is not None and former.package_digest not in ended
            }
        )
        tier = tier_of(live, ledger.entries)
        self._change(use_case, live=live, superseded=superseded, superseded_at_us=now_us(), tier=tier)

    def _read_parameters(self, use_case: str) -> None:
        state = self._states[use_case]
        schema = None if state.reading is None else state.reading.decoder.schema
        plan = self.followed.read(use_case, schema, state.tier)
        if plan is not None:
            self._change(use_case, plan=plan)
            self.switch.let_go(use_case)

    def _read_schema(self, use_case: str) -> None:
        schema = find_input_schema(self._lakes[use_case], use_case)
        reading = self._states[use_case].reading
        if schema is not None and (reading is None or reading.decoder.schema != schema):
            redactor = Redactor(schema, Privacy.open(self._home.keys, self._store))
            decoder = Decoder(schema, self._maximum_rows)
            new = Reading(decoder=decoder, redactor=redactor, labels=LabelReader(redactor))
            plan = Plan(self._states[use_case].parameters, schema)
            self._change(use_case, reading=new, plan=plan)


def _alarm_of(read: Callable[[str], None], use_case: str) -> str | None:
    """Read; what is wrong, or None."""
    try:
        read(use_case)
    except (TrainServeError, OSError) as error:
        return str(error)
    except Exception as error:
        log.exception("unforeseen error", use_case=use_case)
        return f"an error that was not foreseen: {error!r}"
    return None
