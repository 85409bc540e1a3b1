"""Follows the ledger for one arm: loads what is released there, beside what it serves, then swaps one reference."""

import asyncio

import structlog

from lake.documents import DocumentStore
from lake.errors import TrainServeError, Unavailable
from lake.home import Home
from lake.ledger import Ledger, is_begun
from lake.releases import Release, fold, revoked
from lake.trust import Trust
from serving.model import ReleasedModel

POLL_INTERVAL_S = 0.5

log = structlog.get_logger(__name__)


class Follower:
    """The model that this predictor serves, or the reason why it serves none.

    A request that began on one model ends on it. What cannot be verified is never served; while the lake is away, or a
    newer release does not verify, the model that was verified last goes on, unless its release was ended.
    """

    def __init__(self, home: Home, use_case: str, arm: str) -> None:
        self.use_case = use_case
        self.arm = arm
        self.alarm: str | None = None
        self._home = home
        self._model: ReleasedModel | None = None
        self._store = DocumentStore(home.lake, make=False)
        self._ledger: Ledger | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def model(self) -> ReleasedModel:
        """What is served now. Raises Unavailable, saying why there is nothing."""
        if self._model is None:
            raise Unavailable(
                f"model {self.use_case!r}", self.reason, "An approver releases one by materializing the release asset."
            )
        return self._model

    @property
    def reason(self) -> str:
        """Why nothing is served."""
        return self.alarm or f"nothing is released on arm {self.arm!r} of {self.use_case!r}"

    @property
    def current(self) -> ReleasedModel | None:
        """What is served now, or None."""
        return self._model

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
        try:
            self._advance()
        except (TrainServeError, OSError) as error:
            self._sound(str(error))
        except Exception as error:
            log.exception("unforeseen error", use_case=self.use_case, arm=self.arm)
            self._sound(f"an error that was not foreseen: {error!r}")
        else:
            self.alarm = None

    def _sound(self, alarm: str) -> None:
        if self.alarm != alarm:
            log.error("ledger or release not usable", use_case=self.use_case, arm=self.arm, why=alarm)
        self.alarm = alarm

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            await asyncio.to_thread(self.look)

    def _advance(self) -> None:
        if self._ledger is None:
            if not is_begun(self._store, self.use_case, self._home.heads):
                return  # no key to trust is needed yet
            self._ledger = Ledger(self._store, self.use_case, Trust.read(self._home), self._home.heads)
        try:
            self._ledger.poll()
        finally:  # an entry that does not verify hides none of those before it
            self._serve(fold(self._ledger.entries).on(self.arm), revoked(self._ledger.entries))

    def _serve(self, release: Release | None, revoked_packages: set[str]) -> None:
        served = self._model
        if served is not None and (release is None or served.release.package_digest in revoked_packages):
            log.warning("stopped serving", arm=self.arm, ended_release=served.release.seq)
            served = self._model = None
        if release is not None and (served is None or served.release != release):
            self._model = ReleasedModel.load(self._store, self.use_case, release)
            log.info(
                "serving", arm=self.arm, version=release.model_version, release=release.seq, package=release.package_digest[:12]
            )
