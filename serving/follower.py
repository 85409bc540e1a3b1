"""Follows the ledger for one arm: loads what is released there, beside what it serves, then swaps one reference."""

import asyncio
import time
from collections.abc import Callable

import structlog

from lake.copies import GREATEST_COPY_AGE_S, CopiedLake
from lake.decoder import MAXIMUM_ROWS
from lake.errors import NotFound, TrainServeError, Unavailable, VerificationError
from lake.home import Home
from lake.protocol import protocol_version
from lake.release.expiry import APPROVE_AGAIN, ahead, refused, served_on
from lake.release.ledger import Ledger, is_begun
from lake.release.live import Live, Release, fold, revoked
from lake.release.policy import BUILT_IN
from lake.release.trust import Trust
from lake.times import Clock, now_utc
from serving.model import ReleasedModel

POLL_INTERVAL_S = 0.5
# A revoked model answers while its replacement is loaded, for so long at most; nothing through the proxy, which withholds it.
LONGEST_SWAP_S = 1.5

log = structlog.get_logger(__name__)


class Follower:
    """The model that this predictor serves, or the reason why it serves none.

    A request that began on one model ends on it. What cannot be verified is never served; while the lake is away, or a
    newer release does not verify, the model that was verified last goes on, unless its release was ended.
    """

    def __init__(
        self,
        home: Home,
        use_case: str,
        arm: str,
        greatest_copy_age_s: float = GREATEST_COPY_AGE_S,
        clock: Clock = now_utc,
        maximum_rows: int = MAXIMUM_ROWS,
        prepare: Callable[[ReleasedModel], None] | None = None,
    ) -> None:
        self.use_case = use_case
        self.arm = arm
        self._name = f"model {use_case!r}"
        self.clock = clock
        self.lake = CopiedLake(home, use_case, greatest_copy_age_s, clock)
        self.policy = BUILT_IN.policy
        self.unverified = False
        self._home = home
        self._prepare = prepare
        self._maximum_rows = maximum_rows
        self._failure: str | None = None
        self._model: ReleasedModel | None = None
        self._ends_at: float | None = None
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None
        self._said: list[str] = []

    @property
    def model(self) -> ReleasedModel:
        """What is served now. Raises Unavailable, saying why there is nothing and what to do."""
        judged = self.judged()
        if isinstance(judged, Unavailable):
            raise judged
        return judged

    def serving(self, name: str, version: str | None = None) -> ReleasedModel:
        """The model of this name, of this version if one is asked for. Raises NotFound, Unavailable."""
        if name != self.use_case:
            raise NotFound("model", name, f"This predictor serves {self.use_case!r}.")
        model = self.model
        served = protocol_version(model.release.model_version)
        if version not in (None, served, model.release.model_version):
            raise NotFound("version", version, f"{name!r} is served in version {served!r}.")
        return model

    @property
    def current(self) -> ReleasedModel | None:
        """What is served now, or None."""
        judged = self.judged()
        return None if isinstance(judged, Unavailable) else judged

    @property
    def release(self) -> Release | None:
        """The release that is loaded, whether it may answer or not."""
        return None if self._model is None else self._model.release

    def judged(self) -> ReleasedModel | Unavailable:
        """The model that may answer at this moment, or why none may."""
        model, name = self._model, self._name
        if model is None and self._failure is not None:
            return Unavailable(name, self._failure, "It answers once that holds again.")
        if model is None:
            why = f"nothing is released on arm {self.arm!r} of {self.use_case!r}"
            return Unavailable(name, why, "An approver releases one by materializing the release asset.")
        if (too_old := self.lake.too_old()) is not None:
            return Unavailable(name, too_old, "It answers again once the lake is back.")
        if self._ends_at is not None and time.monotonic() > self._ends_at:
            return Unavailable(name, f"release {model.release.seq} was revoked, and its replacement is still being loaded")
        if (over := refused(model.release, self.policy, self.clock())) is not None:
            return Unavailable(name, over, APPROVE_AGAIN)
        return model

    @property
    def alarm(self) -> str | None:
        """All that is wrong, although it may answer; None when nothing is."""
        over = None if self._model is None else served_on(self._model.release, self.policy, self.clock())
        alarms = dict.fromkeys(filter(None, (self._failure, *self.lake.alarms(), over)))
        return "; ".join(alarms) or None

    @property
    def notice(self) -> str | None:
        """That the release expires soon, or has expired and is served on."""
        if self._model is None:
            return None
        release, now = self._model.release, self.clock()
        return ahead(release, now) or served_on(release, self.policy, now)

    async def start(self) -> None:
        """Look once, then keep looking."""
        await asyncio.to_thread(self.look)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    def look(self) -> None:
        """Read what is new in the ledger and serve what it says. What fails becomes the alarm, not an exception."""
        failure: str | None = None
        unverified = False
        try:
            self._advance()
        except (TrainServeError, OSError) as error:
            failure, unverified = str(error), isinstance(error, VerificationError)
        except Exception as error:
            log.exception("unforeseen error", use_case=self.use_case, arm=self.arm)
            failure = f"an error that was not foreseen: {error!r}"
        self._failure, self.unverified = failure, unverified
        self._say()

    def _say(self) -> None:
        """Log what is wrong, and that a release expires, once when it begins."""
        judged = self.judged()
        refusal = judged.why if isinstance(judged, Unavailable) and self._model is not None else None
        saying = [words for words in (refusal, self.alarm, self.notice) if words]
        for words in saying:
            if words not in self._said:
                log.warning("expires" if words == self.notice else "alarm", use_case=self.use_case, arm=self.arm, why=words)
        self._said = saying

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            await asyncio.to_thread(self.look)

    def _advance(self) -> None:
        if self._ledger is None:
            if not is_begun(self.lake, self.use_case, self._home.heads):
                return  # no key to trust is needed yet
            self._ledger = Ledger(self.lake, self.use_case, Trust.read(self._home), self._home.heads, self.clock)
        try:
            self._ledger.poll()
        finally:  # an entry that does not verify hides none of those before it
            self.policy = self._ledger.policy
            self._serve(fold(self._ledger.entries), revoked(self._ledger.entries))

    def _serve(self, live: Live, revoked_packages: set[str]) -> None:
        served, release = self._model, live.on(self.arm)
        if release is None:
            self._stop()
        elif served is None or served.release != release:
            ended = served is not None and served.release.package_digest in revoked_packages
            self._ends_at = time.monotonic() + LONGEST_SWAP_S if ended else None
            try:
                model = ReleasedModel.load(self.lake, self.use_case, release, self._maximum_rows)
                if self._prepare is not None:
                    self._prepare(model)
                self._model = model
            except Exception:
                if ended:
                    self._stop()
                raise
            finally:
                self._ends_at = None
            log.info(
                "serving",
                arm=self.arm,
                version=release.model_version,
                release=release.seq,
                package=release.package_digest[:12],
                source=self._model.source,
                engine=self._model.engine,
                **({"instead": self._model.instead} if self._model.instead else {}),
            )
            self.lake.forget_packages({other.package_digest for other in live.releases.values()})

    def _stop(self) -> None:
        if self._model is not None:
            log.warning("stopped serving", arm=self.arm, ended_release=self._model.release.seq)
            self._model = None
