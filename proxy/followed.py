"""The parameters of every use case as this machine follows them: the newest version that holds, made ready to be asked."""

from collections.abc import Mapping

import structlog

from lake.documents import DocumentReader
from lake.errors import VerificationError
from lake.home import Home
from lake.input_schema import InputSchema
from lake.parameters import Parameters, find_copy, keep_copy
from lake.parameters.checked_rules import check_rules
from lake.parameters.signed import Judge
from lake.parameters.stored import Followed, follow
from lake.release.decision import RiskTier
from lake.release.trust import Trust
from lake.times import Clock
from proxy.plan import Plan

log = structlog.get_logger(__name__)


class FollowedParameters:
    """Reads what is stored. A version that does not hold is passed over: what was in force before goes on, and it is said why."""

    def __init__(self, home: Home, store: DocumentReader, environment: Mapping[str, Parameters], clock: Clock) -> None:
        self._home = home
        self._store = store
        self._clock = clock
        self._trust: Trust | None = None
        self._kept: dict[str, int] = {}
        self._vouched = {use_case: {arm: one.upstreams for arm, one in of.arms.items()} for use_case, of in environment.items()}
        self._followed = {
            use_case: Followed(find_copy(home.copies, use_case) or document) for use_case, document in environment.items()
        }

    def of(self, use_case: str) -> Followed:
        """What is in force, and what is not followed."""
        return self._followed[use_case]

    def judge(self, use_case: str, tier: RiskTier) -> Judge:
        """What a change is judged by now. Raises SettingError, VerificationError for a trust root that does not hold."""
        if self._trust is None:
            self._trust = Trust.read(self._home)
        self._trust.refresh()
        return Judge(self._trust, tier, self._clock(), self._vouched[use_case])

    def read(self, use_case: str, schema: InputSchema | None, tier: RiskTier) -> Plan | None:
        """Read what is new; the plan of what is in force then, or None where that is as before. Raises Unavailable."""
        judge = self.judge(use_case, tier)

        def check(before: Parameters, after: Parameters) -> None:
            judge.check(before, after)
            if schema is not None:
                check_rules(after, schema)
            elif after.rules or after.threshold is not None or after.inactive_answer is not None:
                what = f"version {after.version} of the parameters of {use_case!r}"
                raise VerificationError(what, "rules that nothing can be held against", "an input schema in the lake")

        before = self._followed[use_case].document
        found = follow(self._store, before, check, _announce)
        self._followed[use_case] = found
        return None if found.document is before else Plan(found.document, schema)

    def keep(self, use_case: str) -> None:
        """Keep a copy of what is in force, for a start without the lake. Raises OSError where the disk does not take it."""
        newest = self._followed[use_case].document
        if self._kept.get(use_case) == newest.version:
            return
        kept = find_copy(self._home.copies, use_case)
        if newest.version and (kept is None or kept.version < newest.version):  # another worker of this machine may be ahead
            keep_copy(self._home.copies, newest)
        self._kept[use_case] = newest.version

    def refusal(self, use_case: str) -> str | None:
        """Why the newest version is not followed, or None."""
        found = self._followed[use_case]
        if not found.refused:
            return None
        return f"{found.refused[found.newest]}. Version {found.document.version} goes on."


def _announce(newest: Parameters) -> None:
    log.info("parameters changed", use_case=newest.use_case, version=newest.version, by=newest.changed_by, why=newest.why)
