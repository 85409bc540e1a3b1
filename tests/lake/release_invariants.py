"""What always holds of a release ledger, whoever decided, wrote, read or damaged what: checked after each step of its machine."""

from hypothesis.stateful import RuleBasedStateMachine, invariant

from lake.documents import sha256
from lake.release.heads import GENESIS
from lake.release.live import Live, fold
from lake.times import utc
from tests.lake.release_model import Model
from tests.lake.release_world import Reader, World, link


class Invariants(RuleBasedStateMachine):
    """`readers` are all who read the ledger of `world`, those who write it too; `model` has the journal of what was accepted."""

    world: World
    model: Model
    readers: tuple[Reader, ...]
    damaged_from: int | None

    @invariant()
    def history_is_one_chain_without_gaps(self) -> None:
        if self.damaged_from is not None:
            return
        files = self.world.files() if self.model.journal else {}
        assert list(files) == [f"{seq:08}.json" for seq in range(1, len(self.model.journal) + 1)]
        previous = GENESIS
        for seq, data in enumerate(files.values(), start=1):
            assert link(data) == (seq, previous)
            previous = sha256(data)
            assert previous == self.model.journal[seq - 1].digest

    @invariant()
    def every_reader_has_the_beginning_of_the_one_journal(self) -> None:
        """So all that accept agree, nothing is accepted beyond a damage, and nothing that the model refused."""
        for reader in self.readers:
            entries = reader.ledger.entries
            assert [entry.digest for entry in entries] == [one.digest for one in self.model.journal[: len(entries)]]
            for entry, one in zip(entries, self.model.journal, strict=False):
                assert entry.decision == one.decision
                assert frozenset(entry.signers) == one.signers
                assert entry.event.identity == ("signed" if one.signers else "claimed")

    @invariant()
    def no_reader_steps_back_below_what_it_saw(self) -> None:
        for reader in self.readers:
            assert len(reader.ledger.entries) in (0, reader.seen)

    @invariant()
    def what_was_recorded_had_the_signatures_that_its_policy_asked_for(self) -> None:
        assert all(len(one.signers) >= one.needed for one in self.model.journal)

    @invariant()
    def one_champion_at_most_and_only_what_was_approved_and_not_revoked_is_live(self) -> None:
        for live, seq in self.lives():
            approvals = self.model.approvals(seq)
            assert sum(release.role == "champion" for release in live.releases.values()) <= 1
            for arm, release in live.releases.items():
                assert release.arm == arm
                assert (release.package_digest, arm, release.role) in approvals

    @invariant()
    def no_release_lasts_longer_or_reaches_further_than_it_was_approved_for(self) -> None:
        for live, _ in self.lives():
            for release in live.releases.values():
                approval = self.model.approvals(release.seq)[release.package_digest, release.arm, release.role]
                recorded = self.model.journal[release.seq - 1]
                assert release.expires_at_utc is not None
                assert utc(release.expires_at_utc) == min(approval.expires, recorded.expires)
                assert release.greatest_share == min(approval.decision.greatest_share, recorded.decision.greatest_share)

    @invariant()
    def the_newest_approval_is_live(self) -> None:
        for live, seq in self.lives():
            newest = self.model.journal[seq - 1] if seq else None
            if newest is not None and newest.decision.decision == "approve":
                release = live.on(newest.decision.arm)
                assert release is not None
                assert (release.seq, release.package_digest) == (seq, newest.decision.package_digest)

    def lives(self) -> list[tuple[Live, int]]:
        """What each reader takes for live, and after how many events."""
        ledgers = {len(reader.ledger.entries): reader.ledger for reader in self.readers}
        return [(fold(ledger.entries), seq) for seq, ledger in ledgers.items()]
