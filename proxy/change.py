"""Changes of the parameters: judged as every reader will judge them, stored as the next version, in force here by the answer.

While the lake is away, what only stops or lowers is held on this machine instead, and stored when the lake is back.
"""

from http import HTTPStatus
from pathlib import Path

import msgspec
import structlog

from lake.documents import DocumentStore
from lake.errors import Conflict, InvalidInput, Problem, SettingError, TrainServeError, Unavailable, VerificationError
from lake.home import Home
from lake.interface.problems import Refused
from lake.parameters import Parameters, check_parameters
from lake.parameters.changes import raises
from lake.parameters.checked_rules import check_rules
from lake.parameters.document import LONGEST_WHY, Change, Content, change_of, content_of
from lake.parameters.held import HeldChange, held_change, hold, let_go, lowered_by, read_held
from lake.parameters.rules import UseArm
from lake.parameters.signed import read_lines
from lake.parameters.stored import publish_after
from lake.times import rfc3339, utc
from lake.workers import Worker, read_workers
from proxy.routing import why_not
from proxy.watch import State, Watch

log = structlog.get_logger(__name__)


class Stale(Refused):
    """The parameters have changed since they were read."""

    def __init__(self, use_case: str, expected: str, found: int) -> None:
        super().__init__(
            HTTPStatus.PRECONDITION_FAILED,
            f"The parameters of {use_case!r} are at version {found}, not {expected}. Read them again and decide again.",
        )


class Changes:
    """Makes changes for operators, for monitors, which only lower, and for guardrails."""

    def __init__(self, home: Home, watch: Watch) -> None:
        self._home = home
        self._store = DocumentStore(home.lake, make=False)
        self._watch = watch

    def make(
        self, use_case: str, expected_version: int, change: Change, by: str, *, only_lower: bool = False
    ) -> Parameters | HeldChange:
        """The version that is stored and in force here; while the lake is away, what is held here instead.

        Nothing is stored unless every reader will follow it. Raises NotFound, Stale, InvalidInput, Refused, Unavailable.
        """
        self._watch.state(use_case)
        self._watch.look()
        state, followed = self._watch.state(use_case), self._watch.followed.of(use_case)
        before = followed.document
        if expected_version != before.version:
            raise Stale(use_case, f"version {expected_version}", before.version)
        _check(change, state)
        if only_lower and (more := raises(before, change)):
            words = "; ".join(more)
            raise Refused(HTTPStatus.FORBIDDEN, f"A monitor's key lowers shares and switches off, and this does more: {words}.")
        after = self._proposed(before, change, by, followed.newest + 1)
        try:
            self._watch.followed.judge(use_case, state.tier).check(before, after)
        except VerificationError as error:
            raise Refused(HTTPStatus.FORBIDDEN, str(error)) from error
        try:
            stored = publish_after(self._store, after, followed)
        except Conflict as conflict:
            self._watch.look()
            raise Stale(use_case, f"version {expected_version}", self._watch.followed.of(use_case).document.version) from conflict
        except Unavailable as away:
            held = held_change(before, change, by, after.changed_at_utc or "", change.why)
            if held is None:
                do = f"Nothing was changed. Without it stopping and lowering alone hold, here: `trainserve stop {use_case}`."
                raise Unavailable(f"a change of the parameters of {use_case!r}", str(away), do) from away
            return self._hold(held, before)
        self._watch.look()
        return stored

    def workers(self) -> list[Worker]:
        """The workers of this machine, with what each goes by."""
        return read_workers(self._home)

    def take_back(self, use_case: str, arm: str | None) -> int:
        """Hold no more what was held here of a use case: of an arm, what switched off that alone. Returns how many it was.

        Raises NotFound, OSError.
        """
        self._watch.state(use_case)
        held = read_held(self._home)
        taken = [path for path, one in held.items() if one.use_case == use_case and arm in (None, one.concerns)]
        for path in taken:
            let_go(path)
        self._watch.look_at_switch()
        return len(taken)

    def bring(self) -> None:
        """Store what was held here while the lake was away, now that it is back: over what others stored meanwhile."""
        for path, held in read_held(self._home).items():
            if held.use_case in self._watch.use_cases and held.after_version is not None:
                self._bring(path, held)

    def _bring(self, path: Path, held: HeldChange) -> None:
        before = self._watch.followed.of(held.use_case).document
        wanted = lowered_by(before, held)
        if wanted != content_of(before):
            if not self._watch.lake(held.use_case).reachable:
                return
            why = f"{held.why} (held since {held.at_utc}, as the lake was away)"[:LONGEST_WHY]
            try:
                made = self.make(held.use_case, before.version, change_of(wanted, why), held.by)
            except Stale:
                return  # another worker was faster, or an operator: what is stored now is looked at next
            except TrainServeError as error:
                log.warning("what is held here is not stored yet", use_case=held.use_case, what=str(held), error=str(error))
                return
            if isinstance(made, HeldChange):
                return  # the lake is away again
        let_go(path)
        self._watch.look_at_switch()

    def _hold(self, held: HeldChange, before: Parameters) -> HeldChange:
        """Hold it, unless it is held already; what holds here by the answer."""
        lowered = content_of(before)
        for one in self._watch.switch.changes(held.use_case):
            lowered = lowered_by(lowered, one)
        if lowered_by(lowered, held) != lowered:
            log.warning("held on this machine, as the lake is away", use_case=held.use_case, what=str(held))
            hold(self._home, held)
            self._watch.look_at_switch()
        return held

    def _proposed(self, before: Parameters, change: Change, by: str, version: int) -> Parameters:
        try:
            signed = read_lines(change.signatures)
        except (SettingError, VerificationError) as error:
            raise Refused(HTTPStatus.FORBIDDEN, str(error)) from error
        now = self._watch.clock()
        if before.changed_at_utc is not None:
            now = max(now, utc(before.changed_at_utc))  # the clock of whoever changed it before may be ahead
        content = {name: getattr(change, name) for name in Content.__struct_fields__}
        return Parameters(
            use_case=before.use_case,
            version=version,
            changed_by=by,
            changed_at_utc=rfc3339(now),
            why=change.why,
            proposal=None if signed is None else signed.envelope,
            **content,
        )


def _check(change: Change, state: State) -> None:
    """Raises InvalidInput with every problem of a change, also of rules that no release would let happen."""
    problems: list[Problem] = []
    for check in (_check_values, _check_rules, _check_arms):
        try:
            check(change, state)
        except InvalidInput as invalid:
            problems += invalid.problems
    if problems:
        raise InvalidInput(problems)


def _check_values(change: Change, _state: State) -> None:
    check_parameters(change)


def _check_rules(change: Change, state: State) -> None:
    if state.reading is not None:
        check_rules(change, state.reading.decoder.schema)


def _check_arms(change: Change, state: State) -> None:
    """Rules and fallback name arms that may answer all they might be given, as far as the ledger tells now."""
    asked = {
        f"rules[{index}].then": effect.arm
        for index, rule in enumerate(change.rules)
        for effect in rule.then
        if isinstance(effect, UseArm)
    }
    if change.fallback_arm is not None:
        asked["fallback_arm"] = change.fallback_arm
    would_be = Parameters(
        use_case="", arms={name: msgspec.structs.replace(arm, active=True) for name, arm in change.arms.items()}
    )
    problems = [
        Problem(path=path, found=why, expected="an arm whose release may have all requests, or beyond_release, signed")
        for path, arm in asked.items()
        if (release := state.live.on(arm)) is not None and (why := why_not(would_be, release)) is not None
    ]
    if problems:
        raise InvalidInput(problems)
