"""The release ledger against its model: people decide, writers race, keys and policies change, time passes, files are damaged.

Every run of the machine is random; what must hold after each of its steps stands in `release_invariants`.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from lake.errors import Conflict, TrainServeError
from lake.release.decision import Decision, DecisionKind, RiskTier
from lake.release.policy import PolicyVersion
from lake.release.proposal import Proposal
from lake.times import rfc3339
from tests.approvers import Person
from tests.lake.release_invariants import Invariants
from tests.lake.release_model import Model, Place
from tests.lake.release_people import People
from tests.lake.release_world import DAMAGES, SILENT, Damage, Reader, World
from tests.scenario import USE_CASE, decision

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)

KINDS: st.SearchStrategy[DecisionKind] = st.sampled_from(["approve", "approve", "approve", "revoke", "roll back", "reject"])
PLACES: st.SearchStrategy[Place] = st.tuples(
    st.sampled_from([letter * 64 for letter in "abc"]),
    st.sampled_from(["one", "two"]),
    st.sampled_from(["champion", "champion", "challenger", "shadow"]),
)
TIERS: st.SearchStrategy[RiskTier] = st.sampled_from(["low", "low", "medium", "high"])
NAMES = st.sampled_from(["ada", "bob", "eve", "mallory"])
FLAWS = st.sampled_from(["signed too long ago", "another policy", "their own model", "nobody's name", "over at once"])
TERMS = st.sampled_from([None, None, -DAY, HOUR, 10 * DAY, 400 * DAY])


class Releases(Invariants):
    """One run: a ledger from its first day on."""

    took: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = World(START)
        self.people = People(self.world.home)
        self.model = Model(self.people.first_policy())
        self.damaged_from: int | None = None
        self.damage_is_silent = False
        self.policy_is_damaged = False
        self.writer, self.slow = Reader(self.world, self.world.home), Reader(self.world, self.world.home)
        self.servers = [Reader(self.world, home) for home in self.world.servers()]
        self.readers = (self.writer, self.slow, *self.servers)
        self.number = 0
        self.took["steps"] -= 1  # the invariants are checked once before the first

    def teardown(self) -> None:
        self.world.remove()

    # People decide

    @rule(kind=KINDS, place=PLACES, tier=TIERS, term=TERMS, data=st.data())
    def decide_as_the_policy_asks(
        self, kind: DecisionKind, place: Place, tier: RiskTier, term: timedelta | None, data: st.DataObject
    ) -> None:
        """Those who may sign, as many as it takes: what the model accepts, the ledger does."""
        decided, signers = self.well_signed(kind, place, tier, term, data)
        self.record(decided, signers, self.world.now)

    @rule(kind=KINDS, place=PLACES, tier=TIERS, data=st.data())
    def decide_with_another_key(self, kind: DecisionKind, place: Place, tier: RiskTier, data: st.DataObject) -> None:
        """As the policy asks, but that each signs with some key that they have, had, or will have."""
        decided, signers = self.well_signed(kind, place, tier, None, data)
        keys = [data.draw(st.sampled_from(self.people.keys_of(signer.name)), label="key") for signer in signers]
        self.record(decided, keys, self.world.now)

    @rule(kind=KINDS, place=PLACES, tier=TIERS, flaw=FLAWS, data=st.data())
    def decide_with_one_flaw(self, kind: DecisionKind, place: Place, tier: RiskTier, flaw: str, data: st.DataObject) -> None:
        """As the policy asks, but for one thing."""
        decided, signers = self.well_signed(kind, place, tier, None, data)
        changes = {
            "signed too long ago": {"sign_by_utc": rfc3339(self.world.now - SECOND)},
            "another policy": {"policy_digest": "0" * 64},
            "their own model": {"trainer": decided.approver},
            "nobody's name": {"approver": "mallory"},
            "over at once": {"expires_at_utc": rfc3339(self.world.now)},
        }
        self.record(msgspec.structs.replace(decided, **changes[flaw]), signers, self.world.now)

    @rule(
        kind=KINDS,
        place=PLACES,
        tier=TIERS,
        term=TERMS,
        names=st.lists(NAMES, unique=True, max_size=3),
        approver=NAMES,
        trainer=st.sampled_from(["ada", "bob", "somebody"]),
        skew=st.sampled_from([timedelta(), timedelta(), -HOUR, HOUR]),
        signed_for=st.sampled_from([HOUR, HOUR, 2 * HOUR, -2 * HOUR, None]),
        data=st.data(),
    )
    def decide_anyhow(
        self, names: list[str], skew: timedelta, signed_for: timedelta | None, data: st.DataObject, **facts: Any
    ) -> None:
        """By whoever, with whichever keys and clocks, under whichever policy: it is recorded when the model says so."""
        place, term = facts["place"], facts["term"]
        signers = [data.draw(st.sampled_from(self.people.keys_of(name)), label="key") for name in names]
        decided = self.decided(
            facts["kind"],
            place,
            facts["tier"],
            term,
            approver=facts["approver"],
            trainer=facts["trainer"],
            sign_by_utc=None if signed_for is None and not signers else rfc3339(self.world.now + (signed_for or HOUR)),
            policy_digest=data.draw(st.sampled_from([*self.model.policies, self.policy, self.policy]), label="policy").digest,
        )
        self.record(decided, signers, self.world.now + skew)

    @precondition(lambda self: self.model.journal)
    @rule(data=st.data())
    def record_once_more(self, data: st.DataObject) -> None:
        """A decision that was recorded before, with its own good signatures."""
        former = data.draw(st.sampled_from(self.model.journal), label="former")
        signers = [person for name in sorted(former.signers) for person in self.people.keys_of(name)]
        self.record(former.decision, signers, self.world.now)

    @precondition(lambda self: self.intact)
    @rule(kind=KINDS, place=PLACES, tier=TIERS, data=st.data())
    def two_decide_at_once(self, kind: DecisionKind, place: Place, tier: RiskTier, data: st.DataObject) -> None:
        """Two writers that have read the same go at the same time: one wins, the other is told."""
        first, signers = self.well_signed(kind, place, tier, None, data)
        second = self.again(first)
        writers = [self.writer, self.slow]
        for writer in writers:
            assert writer.poll() is None
        if any(self.model.objections(first, signers, self.world.now, self.world.now).values()):
            return
        with ThreadPoolExecutor(2) as threads:
            attempts = [
                threads.submit(self.world.append, writer.ledger, decided, signers, self.world.now)
                for writer, decided in zip(writers, (first, second), strict=True)
            ]
        errors = [attempt.exception() for attempt in attempts]
        [won] = [position for position, error in enumerate(errors) if error is None]
        assert isinstance(errors[1 - won], Conflict)
        self.accepted((first, second)[won], signers, self.world.now, attempts[won].result())
        assert writers[1 - won].poll() is None
        self.took["raced"] += 1

    @precondition(lambda self: self.intact and self.slow.seen < len(self.model.journal))
    @rule(kind=KINDS, place=PLACES, tier=TIERS, data=st.data())
    def decide_on_what_was_read_before(self, kind: DecisionKind, place: Place, tier: RiskTier, data: st.DataObject) -> None:
        """A writer that has not read the newest events is told, and may decide again."""
        decided, signers = self.well_signed(kind, place, tier, None, data)
        with pytest.raises(TrainServeError):
            self.world.append(self.slow.ledger, decided, signers, self.world.now)
        assert self.slow.poll() is None
        self.took["stale"] += 1

    # The policy changes, time passes

    @precondition(lambda self: self.people.pending is None and not self.policy_is_damaged)
    @rule(
        change=st.sampled_from(["new key", "retire", "needs", "tier", "quorum"]),
        name=st.sampled_from(["ada", "bob", "eve"]),
        count=st.integers(0, 2),
        delay=st.sampled_from([SECOND, HOUR]),
        signers=st.sampled_from([["ada", "bob", "eve"], ["bob", "ada"], ["eve", "bob"], ["ada"], ["mallory", "eve"], []]),
    )
    def propose_a_policy(self, change: str, name: str, count: int, delay: timedelta, signers: list[str]) -> None:
        """The next version, in force soon; signed at once by some, enough of them or not."""
        newest = self.model.policies[-1]
        proposals = {
            "new key": lambda: Proposal(add=[self.people.new_key(name)]),
            "retire": lambda: Proposal(retire=[name]),
            "needs": lambda: Proposal(needs=[f"champion={count}", f"challenger={2 - count}"]),
            "tier": lambda: Proposal(tier=[f"medium={count},{1 + 20 * count}", "high=2,3"]),
            "quorum": lambda: Proposal(quorum=1 + count),
        }
        self.people.propose(newest, proposals[change](), max(self.world.now, newest.policy.valid_from_utc) + delay)
        for signer in signers:
            self.sign_the_policy(signer)

    @precondition(lambda self: self.people.pending is not None and not self.policy_is_damaged)
    @rule(name=NAMES)
    def sign_what_is_pending(self, name: str) -> None:
        """Somebody more signs, while it is not to be in force yet; else it is taken back."""
        assert self.people.pending is not None
        if self.people.pending.policy.valid_from_utc > self.world.now:
            self.sign_the_policy(name)
        else:
            self.people.take_back()

    @rule(span=st.sampled_from([SECOND, 2 * SECOND, HOUR, DAY, 40 * DAY]))
    def pass_time(self, span: timedelta) -> None:
        self.world.now += span
        self.took["time"] += 1

    # Servers read, machines are damaged and mended

    @rule(which=st.integers(0, 1))
    def read_on(self, which: int) -> None:
        reader = self.servers[which]
        failure = reader.poll()
        if self.intact:
            assert failure is None
            assert len(reader.ledger.entries) == len(self.model.journal)
        self.took["read"] += 1

    @rule(which=st.integers(0, 1))
    def start_again(self, which: int) -> None:
        """A server that starts knows from its heads alone what it saw, and takes nothing less."""
        reader = self.servers[which]
        seen = reader.seen
        failure = reader.restart()
        if not self.policy_is_damaged:
            self.check_fresh(reader, failure, seen)
        self.took["start"] += 1

    @rule()
    def audit(self) -> None:
        """Somebody reads everything for the first time, on a machine that has seen nothing."""
        if not self.policy_is_damaged:
            auditor = Reader(self.world, self.world.home, keeps_heads=False)
            self.check_fresh(auditor, auditor.poll(), 0)
        self.took["audit"] += 1

    @precondition(lambda self: self.damaged_from is None and len(self.model.journal) > 1)
    @rule(kind=st.sampled_from(DAMAGES), data=st.data())
    def damage_the_ledger(self, kind: Damage, data: st.DataObject) -> None:
        last = len(self.model.journal)
        seq = data.draw(st.integers(1, last), label="event")
        decided = self.decided("approve", ("f" * 64, "one", "champion"), "low", None, approver="ada")
        if kind == "unsigned" and not any(self.model.objections(decided, [], self.world.now, self.world.now).values()):
            return  # the policy asks for no signature: this is how decisions are recorded
        self.damaged_from = self.world.damage(kind, seq, last, decided)
        self.damage_is_silent = kind in SILENT
        self.audit()
        self.took[kind] += 1

    @precondition(lambda self: not self.policy_is_damaged)
    @rule(cut=st.booleans())
    def damage_the_policy(self, *, cut: bool) -> None:
        self.writer.poll()  # this machine has seen every version that counts
        self.world.damage_policy(cut=cut and self.people.pending is None)
        self.policy_is_damaged = True
        self.took["policy damaged"] += 1

    @precondition(lambda self: self.damaged_from is not None or self.policy_is_damaged)
    @rule()
    def repair(self) -> None:
        self.world.repair()
        self.damaged_from, self.policy_is_damaged = None, False
        assert self.writer.restart() is None
        assert len(self.writer.ledger.entries) == len(self.model.journal)
        self.took["repaired"] += 1

    @invariant()
    def the_step_is_counted(self) -> None:
        self.took["steps"] += 1

    # What the rules are made of

    @property
    def intact(self) -> bool:
        """Whether nobody has damaged a file."""
        return self.damaged_from is None and not self.policy_is_damaged

    @property
    def policy(self) -> PolicyVersion:
        """The version that is in force now."""
        return self.model.policy_at(self.world.now)

    def decided(self, kind: DecisionKind, place: Place, tier: RiskTier, term: timedelta | None, **facts: Any) -> Decision:
        """A decision that nobody has made before, under the policy in force."""
        self.number += 1
        package, arm, role = place
        return decision(
            **{
                "decision": kind,
                "package_digest": package,
                "arm": arm,
                "role": role,
                "risk_tier": tier,
                "greatest_share": 1 / (1 + self.number % 4),
                "expires_at_utc": None if term is None else rfc3339(self.world.now + term),
                "reason": f"number {self.number}",
                "policy_digest": self.policy.digest,
                **facts,
            }
        )

    def again(self, decided: Decision) -> Decision:
        """The same decision made another time."""
        self.number += 1
        return msgspec.structs.replace(decided, nonce=f"number {self.number}")

    def well_signed(
        self, kind: DecisionKind, place: Place, tier: RiskTier, term: timedelta | None, data: st.DataObject
    ) -> tuple[Decision, list[Person]]:
        """A decision with the signatures of as many as may sign it, in any order and at least as many as it takes.

        What is revoked or rolled back to was decided on before, where anything was.
        """
        if kind in ("revoke", "roll back") and self.model.journal:
            place = data.draw(st.sampled_from(self.model.journal), label="former").place
        able = [
            person
            for person in self.people.newest_keys()
            if (listed := self.policy.policy.find(person.name)) is not None and listed.may_decide(USE_CASE, place[2])
            if self.model.signatures_that_count([person], self.world.now)
        ]
        signers: list[Person] = data.draw(st.permutations(able), label="signers")
        few = data.draw(st.booleans(), label="no more than it takes")
        if signers and few:
            wanted = self.decided(kind, place, tier, term, approver=signers[0].name)
            signers = signers[: self.model.recorded(wanted, [], self.world.now).needed]
        approver = signers[0].name if signers else "bob"
        sign_by = rfc3339(self.world.now + HOUR) if signers else None
        return self.decided(kind, place, tier, term, approver=approver, trainer="somebody", sign_by_utc=sign_by), signers

    def record(self, decided: Decision, signers: list[Person], at: datetime) -> None:
        """Read, then record: the ledger and the model come to the same end."""
        reasons = self.model.objections(decided, signers, at, self.world.now)
        before = self.world.files()
        taken = self.damaged_from == len(self.model.journal) + 1
        self.writer.poll()
        self.took.update(reasons)
        if not any(reasons.values()) and not taken and not self.policy_is_damaged:
            self.accepted(decided, signers, at, self.world.append(self.writer.ledger, decided, signers, at))
            return
        with pytest.raises(TrainServeError):
            self.world.append(self.writer.ledger, decided, signers, at)
        assert self.world.files() == before
        self.took["refused"] += 1

    def accepted(self, decided: Decision, signers: list[Person], at: datetime, digest: str) -> None:
        self.model.journal.append(self.model.recorded(decided, signers, at, digest))
        self.writer.seen = max(self.writer.seen, len(self.writer.ledger.entries))
        self.slow.seen = max(self.slow.seen, len(self.slow.ledger.entries))
        self.took["accepted"] += 1
        self.took[decided.decision] += 1

    def check_fresh(self, reader: Reader, failure: TrainServeError | None, seen: int) -> None:
        """A reader that has just started, on a machine that had seen so much, has what is whole, or nothing."""
        whole = len(self.model.journal) if self.damaged_from is None else self.damaged_from - 1
        if whole < seen:
            assert failure is not None
            assert reader.ledger.entries == []
        else:
            assert len(reader.ledger.entries) == whole
            assert (failure is None) == (self.damaged_from is None or self.damage_is_silent)

    def sign_the_policy(self, name: str) -> None:
        """Somebody signs what is pending; it counts from its quorum on."""
        version = self.people.sign(name, self.model.policies[-1])
        if version is not None:
            self.model.policies.append(version)
            self.took["policy changed"] += 1
            assert self.writer.poll() is None or not self.intact


def run(examples: int) -> Counter[str]:
    """Run the machine so many times; returns how often it went each way."""
    Releases.took.clear()
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    chosen = settings(max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(Releases, settings=chosen)
    return Releases.took


def test_the_ledger_does_what_its_model_does() -> None:
    took = run(examples=25)

    assert took["steps"] >= 500
    assert min(took[way] for way in ("accepted", "refused", "raced", "repaired")) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_ledger_does_what_its_model_does_over_ten_thousand_steps() -> None:
    """Long enough that every decision, every reason to refuse, and every damage come about."""
    took = run(examples=300)

    assert took["steps"] >= 10_000
    assert {way for way in (*get_args(DecisionKind), *DAMAGES, *took) if not took[way]} == set()
